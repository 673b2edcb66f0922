"""The way every stage puts a record aside."""

from __future__ import annotations

from collections.abc import Callable

from broker_plugin.records.codec import encode_dead_letter
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.dead_letters import dead_letter
from broker_plugin.runner.protocols import Message, Output
from broker_plugin.stages.tally import Tally


def dead_letter_output(prefix: str) -> Callable[[DeadLetter], Output]:
    """Return the function that turns a dead letter into a record of ``<prefix>.dead-letters``."""

    def output(letter: DeadLetter) -> Output:
        return Output(f"{prefix}.dead-letters", letter.key, encode_dead_letter(letter))

    return output


class PutAside:
    """Put messages aside that a stage cannot use: a dead letter each, counted by its reason.

    Parameters
    ----------
    stage : str
        Name of the stage.
    prefix : str
        Of the topics.
    """

    def __init__(self, stage: str, prefix: str) -> None:
        self._stage = stage
        self._output = dead_letter_output(prefix)

    def __call__(self, reason: str, detail: str, message: Message, tally: Tally) -> None:
        """Add the letter to the step's outputs, and count it."""
        tally.outputs.append(self._output(dead_letter(self._stage, reason, detail, message)))
        tally.count("dead_letters_total", stage=self._stage, reason=reason)
