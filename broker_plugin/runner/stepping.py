"""Run a stage's step over a batch so that one bad record costs itself and nothing else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from broker_plugin.errors import BrokerPluginError, StepFailedError
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.dead_letters import dead_letter
from broker_plugin.runner.protocols import Message, Observation, Output, Stage, State, StepResult
from broker_plugin.runner.state import BatchState

logger = logging.getLogger(__name__)

EncodeDeadLetter = Callable[[DeadLetter], Output]
"""Turns a dead letter into a record for the dead-letter topic."""

CUT_MARK = "(value cut to the first"
"""Stands in the detail of a dead letter that does not hold the whole record."""

_KEPT_BYTES = 1 << 16  # of a value that is itself too large for a dead letter


@dataclass(frozen=True, slots=True)
class Stepped:
    """A batch's outcome, not yet committed.

    Attributes
    ----------
    changes : mapping
        By partition and key, what the step put.
    dead_letters : mapping of str to int
        How many dead letters the runner made, by reason.
    failures_in_a_row : int
        Records at the end of the batch on which the step failed, with those before the batch if it failed on
        all.
    """

    outputs: Sequence[Output]
    observations: Sequence[Observation]
    changes: Mapping[int, Mapping[bytes, bytes | None]]
    dead_letters: Mapping[str, int]
    failures_in_a_row: int = 0


class _OutputTooLargeError(Exception):
    """An output that no broker would take."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures there were in a row so far, and how many there may be; 0 for any number."""

    failures: int = 0
    limit: int = 0


def run_step(
    stage: Stage,
    batch: Sequence[Message],
    state: State,
    encode: EncodeDeadLetter,
    max_output_bytes: int,
    *,
    patience: Patience | None = None,
) -> Stepped:
    """Run the step over the whole batch, or record by record where that fails.

    Raises
    ------
    StepFailedError
        The step has failed on too many records in a row: it is the step that is broken, and going on would
        make dead letters of everything.
    BrokerPluginError
        Whatever the step or the state raised of these: they are about the process, not about a record.
    """
    whole = BatchState(state)
    try:
        result = _checked(stage.step(batch, whole), whole, max_output_bytes)
    except BrokerPluginError:
        raise
    except Exception as error:
        logger.info("step of %s failed on a batch (%r); trying it record by record", stage.name, error)
        patience = patience or Patience()
        return _one_by_one(stage, batch, state, encode, max_output_bytes, patience=patience)
    return Stepped(result.outputs, result.observations, whole.changes, {})


def _one_by_one(
    stage: Stage,
    batch: Sequence[Message],
    state: State,
    encode: EncodeDeadLetter,
    max_output_bytes: int,
    *,
    patience: Patience,
) -> Stepped:
    whole = BatchState(state)
    outputs: list[Output] = []
    observations: list[Observation] = []
    reasons: dict[str, int] = {}
    failures = patience.failures
    for message in batch:
        own = BatchState(whole)
        try:
            result = _checked(stage.step([message], own), own, max_output_bytes)
        except BrokerPluginError:
            raise
        except Exception as error:
            failures = 0 if isinstance(error, _OutputTooLargeError) else failures + 1
            if failures == patience.limit:
                raise _broken(stage.name, message, failures, error) from error
            dead = _dead_letter(stage.name, message, error)
            logger.warning(
                "dead letter: %s/%d/%d: %s", message.topic, message.partition, message.offset, dead.detail
            )
            outputs.append(_fitting(encode, dead, max_output_bytes))
            reasons[dead.reason] = reasons.get(dead.reason, 0) + 1
            continue
        failures = 0
        whole.absorb(own)
        outputs += result.outputs
        observations += result.observations
    return Stepped(outputs, observations, whole.changes, reasons, failures)


def _broken(stage: str, message: Message, failures: int, error: Exception) -> StepFailedError:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return StepFailedError(
        f"stage {stage} has failed on {failures} records in a row, the last one "
        f"{message.topic}/{message.partition}/{message.offset}: {type(error).__name__}: {error} (at "
        f"{place.filename}:{place.lineno}). Nothing of this batch is committed. If the program or its "
        "surroundings are at fault, mend them and start again; if so many records really are bad, set "
        "'runner.max_failures_in_a_row' higher, or to 0, and they become dead letters"
    )


def _checked(result: StepResult, written: BatchState, max_output_bytes: int) -> StepResult:
    for output in result.outputs:
        size = len(output.key or b"") + len(output.value or b"")
        if size > max_output_bytes:
            msg = f"output of {size} bytes for {output.topic}, the limit is {max_output_bytes}"
            raise _OutputTooLargeError(msg)
    for partition, changes in written.changes.items():
        for key, value in changes.items():
            size = len(key) + len(value or b"")
            if size > max_output_bytes:
                msg = f"state of {size} bytes under {key[:80]!r}/{partition}, the limit is {max_output_bytes}"
                raise _OutputTooLargeError(msg)
    return result


def _dead_letter(stage: str, message: Message, error: Exception) -> DeadLetter:
    if isinstance(error, _OutputTooLargeError):
        reason, detail = "output_too_large", str(error)
    else:
        reason, detail = "unexpected_error", f"{type(error).__name__}: {error}"
    return dead_letter(stage, reason, " ".join(detail.split())[:1000], message)


def _fitting(encode: EncodeDeadLetter, dead: DeadLetter, max_output_bytes: int) -> Output:
    """Encode a dead letter, cutting a value that would make the broker refuse the letter itself."""
    output = encode(dead)
    if len(output.value or b"") <= max_output_bytes or dead.value is None:
        return output
    kept = min(_KEPT_BYTES, max_output_bytes // 2)
    detail = f"{dead.detail} {CUT_MARK} {kept} of {len(dead.value)} bytes)"
    return encode(replace(dead, value=dead.value[:kept], detail=detail))
