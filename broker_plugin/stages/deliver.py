"""Deliver: annotations in, what other consumers take out; filters and translation in one transaction.

An output whose consumer reads from our cluster is delivered exactly once by this. One whose consumer is
elsewhere is written to a topic of ours first, exactly once, and carried on from there by a
:class:`broker_plugin.app.forward.Forwarder`, at least once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from broker_plugin.filters import Filter, Seen, Verdict, is_news
from broker_plugin.outputs import Format, Publication
from broker_plugin.records import schemas
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import annotation_from_record
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import CONSUMED_AT

Source = Literal["classifications", "novelties"]

_KINDS = {"classifications": "classification", "novelties": "novelty"}
_OUTPUT_OF = re.compile(r"output (\w+): ")
"""How the detail of a dead letter begins that one output alone is concerned with."""

_NAMES = {"classifications": "deliver", "novelties": "deliver-novelties"}


@dataclass(frozen=True, slots=True)
class Route:
    """One topic of one output.

    Attributes
    ----------
    output : str
        Its name in the configuration.
    topic : str
        In our cluster.
    filters : tuple of Filter
        One of them must let an annotation through; none let through everything.
    format : Format
    """

    output: str
    topic: str
    filters: tuple[Filter, ...]
    format: Format


def deliver_name(source: Source) -> str:
    """Return the stage's name, of which its consumer group and its changelog are named."""
    return _NAMES[source]


class DeliverStage:
    """Filter and translate for every output of one source.

    The state is what ``new_or_changed`` remembers, by output, filter, object and band. There is a changelog
    even if no filter asks for it now: one that does may join later.

    Parameters
    ----------
    prefix : str
        Of the topics.
    source : {"classifications", "novelties"}
    routes : sequence of Route
    """

    def __init__(self, prefix: str, source: Source, routes: Sequence[Route]) -> None:
        self.name = deliver_name(source)
        self._prefix = prefix
        self._source = source
        self.input_topics: Sequence[str] = (f"{prefix}.{source}",)
        self.changelog_topic: str | None = f"{prefix}.{self.name}-changelog"
        self.output_topics: Sequence[str] = (*(route.topic for route in routes), f"{prefix}.dead-letters")
        self._kind = _KINDS[source]
        self._routes = tuple(routes)
        self._put_aside = PutAside(self.name, prefix)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Deliver a batch; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        for message in batch:
            try:
                publication = self._read(message)
            except ValueError as error:
                self._put_aside("undecodable_annotation", str(error), message, tally)
                continue
            for route in self._routes:
                self._send(route, publication, message, state, tally)
        return tally.result()

    def again(self, detail: str) -> DeliverStage | None:
        """Return the stage that tries a dead letter again: only for the output that the letter is about.

        The others had it already. None if there is no such output any more.
        """
        failed = _OUTPUT_OF.match(detail)
        if failed is None:
            return self
        routes = [route for route in self._routes if route.output == failed[1]]
        return DeliverStage(self._prefix, self._source, routes) if routes else None

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def _read(self, message: Message) -> Publication:
        record = schemas.decode(self._kind, message.value or b"")
        return Publication(self._kind, record, annotation_from_record(record), _consumed_at(message))

    def _send(
        self, route: Route, publication: Publication, message: Message, state: State, tally: Tally
    ) -> None:
        annotation = publication.annotation
        memory = _Memory(state, message.partition, route.output)
        judged = [(wanted, _verdict(wanted, annotation, memory)) for wanted in route.filters]
        passed = [wanted for wanted, verdict in judged if verdict is Verdict.PASSES]
        if route.filters and not passed:
            missing = any(verdict is Verdict.MISSING for _, verdict in judged)
            tally.count("outputs_total", output=route.output, outcome="missing" if missing else "filtered")
            return
        try:
            translated = route.format.translate(publication)
        except ValueError as error:
            self._put_aside("untranslatable", f"output {route.output}: {error}", message, tally)
            tally.count("outputs_total", output=route.output, outcome="untranslatable")
            return
        for wanted in passed:
            if wanted.new_or_changed:
                memory.put(wanted, annotation)
        tally.outputs.append(Output(route.topic, message.key, translated.value, headers=translated.headers))
        tally.count("outputs_total", output=route.output, outcome="sent")


@dataclass(frozen=True, slots=True)
class _Memory:
    """What was let through last, of one output, in the state of one partition."""

    state: State
    partition: int
    output: str

    def get(self, wanted: Filter, annotation: Annotation) -> Seen | None:
        packed = self.state.get(self.partition, self._key(wanted, annotation))
        return None if packed is None else Seen.unpack(packed)

    def put(self, wanted: Filter, annotation: Annotation) -> None:
        self.state.put(self.partition, self._key(wanted, annotation), Seen.of(annotation).pack())

    def _key(self, wanted: Filter, annotation: Annotation) -> bytes:
        place = f"{annotation.survey}/{annotation.object_id}/{annotation.band}"
        return f"seen/{self.output}/{wanted.name}/{place}".encode()


def _verdict(wanted: Filter, annotation: Annotation, memory: _Memory) -> Verdict:
    verdict = wanted.verdict(annotation)
    if verdict is not Verdict.PASSES or not wanted.new_or_changed:
        return verdict
    return verdict if is_news(annotation, memory.get(wanted, annotation)) else Verdict.FAILS


def _consumed_at(message: Message) -> int | None:
    """Return when the alert was read, where the record still says so."""
    digits: Iterator[bytes] = (value for name, value in message.headers if name == CONSUMED_AT)
    found = next(digits, b"")
    return int(found) if found.isdigit() and len(found) < 16 else None
