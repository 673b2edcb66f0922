"""Combine: annotations of single bands in, one annotation of each object out.

The state is each object's last combined annotation, in the form in which it was published: it holds what
every band said last. Annotations are taken one by one in their order: the result depends on the topic alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from broker_plugin.annotate.combine import CombineRule, combine
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_classification
from broker_plugin.records.object_annotation import ObjectAnnotation, decode_object, encode_object
from broker_plugin.records.photometry import object_key
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import passed_on

KEYS = b"o/"
"""What the state's keys begin with."""


class CombineStage:
    """Remember what each band of an object says, and say what they say together.

    Parameters
    ----------
    prefix : str
        Of the topics.
    rule : CombineRule
    code_version : str
        Of this package.
    clock : callable
        Returns the time in seconds since the epoch; stamps ``processed_at``.
    """

    name = "combine"

    def __init__(
        self, prefix: str, rule: CombineRule, code_version: str, *, clock: Callable[[], float]
    ) -> None:
        self.input_topics: Sequence[str] = (f"{prefix}.classifications",)
        self.changelog_topic: str | None = f"{prefix}.combine-changelog"
        self._objects_topic = f"{prefix}.objects"
        self._rule = rule
        self._code_version = code_version
        self._clock = clock
        self._put_aside = PutAside(self.name, prefix)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Combine a batch of annotations; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        processed_at_ms = round(self._clock() * 1000)
        for message in batch:
            try:
                annotation = decode_classification(message.value or b"")
            except ValueError as error:
                self._put_aside("undecodable_annotation", str(error), message, tally)
                continue
            combined = self._combined(annotation, message.partition, state)
            if isinstance(combined, str):
                tally.count("combined_withheld_total", reason=combined)
                continue
            key = object_key(combined.survey, combined.object_id)
            value = encode_object(combined, processed_at_ms)
            tally.outputs.append(Output(self._objects_topic, key, value, passed_on(message)))
            tally.count("combined_total", periods=combined.period_agreement)
            tally.count("combined_novelties_total", int(combined.novel))
        return tally.result()

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def _combined(self, annotation: Annotation, partition: int, state: State) -> ObjectAnnotation | str:
        """Combine with what is held, and remember."""
        key = KEYS + object_key(annotation.survey, annotation.object_id)
        packed = state.get(partition, key)
        held = None if packed is None else decode_object(packed)
        combined = combine(annotation, held, self._rule, self._code_version)
        if isinstance(combined, ObjectAnnotation):
            # Without the time of processing: equal topics make equal state.
            state.put(partition, key, encode_object(combined, 0, "single-object"))
        return combined
