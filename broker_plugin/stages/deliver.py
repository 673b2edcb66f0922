"""Deliver: annotations in, what other consumers take out; filters and translation in one transaction.

An output whose consumer reads from our cluster is delivered exactly once by this. One whose consumer is
elsewhere is written to a topic of ours first, exactly once, and carried on from there by a
:class:`broker_plugin.app.forward.Forwarder`, at least once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from broker_plugin.filters import Filter, Outcome, outcome_of, seen_after
from broker_plugin.outputs import FILTER_OUTCOME, KINDS, NO_LONGER_PASSES, Format, Publication, Source
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.deliver_memory import Memory
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import CONSUMED_AT

_FOLLOW_UP = " (follow-up)"
_READER_OF = re.compile(rf"output (\w+)(\.\w+)?({re.escape(_FOLLOW_UP)})?: ")
"""How the detail of a dead letter begins that one reader alone is concerned with."""

OUTCOME_HEADER = FILTER_OUTCOME.replace("_", "-")
"""Header of what does not pass any more, in every format; absent from everything else."""

_MARK = (OUTCOME_HEADER, NO_LONGER_PASSES.encode())
DELIVER_NAMES: Mapping[Source, str] = {
    "classifications": "deliver",
    "novelties": "deliver-novelties",
    "objects": "deliver-objects",
}
"""Name of the stage of each source, of which its consumer group and its changelog are named."""


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
    follow_up : bool
        Whether its reader is told once of what does not pass any more.
    part : str
        Name of the filter that this topic is for, where the output has a topic for each; else empty.
    """

    output: str
    topic: str
    filters: tuple[Filter, ...]
    format: Format
    follow_up: bool = True
    part: str = ""

    @property
    def reader(self) -> str:
        """Return the name of whoever reads the topic, under which is remembered what it was given."""
        return f"{self.output}.{self.part}" if self.part else self.output


class DeliverStage:
    """Filter and translate for every output of one source.

    The state is what each output with filters was given last, by object and band, or by object: see
    :mod:`broker_plugin.filters.outcome`. There is a changelog even if no output has filters now: one that
    does may join later.

    Parameters
    ----------
    prefix : str
        Of the topics.
    source : {"classifications", "novelties", "objects"}
    routes : sequence of Route
    owed : bool
        Whether readers that nothing is remembered of are taken to have been given something: then they are
        told that it does not hold.
    """

    def __init__(self, prefix: str, source: Source, routes: Sequence[Route], *, owed: bool = False) -> None:
        self.name = DELIVER_NAMES[source]
        self._prefix = prefix
        self._source = source
        self.input_topics: Sequence[str] = (f"{prefix}.{source}",)
        self.changelog_topic: str | None = f"{prefix}.{self.name}-changelog"
        self.output_topics: Sequence[str] = (*(route.topic for route in routes), f"{prefix}.dead-letters")
        self._kind = KINDS[source]
        self._routes = tuple(routes)
        self._owed = owed
        self._put_aside = PutAside(self.name, prefix)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Deliver a batch; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        for message in batch:
            try:
                publication = Publication.read(self._kind, message.value or b"", _consumed_at(message))
            except ValueError as error:
                self._put_aside("undecodable_annotation", str(error), message, tally)
                continue
            for route in self._routes:
                self._send(route, publication, message, state, tally)
        return tally.result()

    def again(self, detail: str) -> DeliverStage | None:
        """Return the stage that tries a dead letter again: only for the reader that the letter is about.

        The others had it already. None if there is no such output any more.
        """
        failed = _READER_OF.match(detail)
        if failed is None:
            return self
        output, part, follow_up = failed[1], failed[2] or "", failed[3] is not None
        of_output = [route for route in self._routes if route.output == output]
        routes = [route for route in of_output if route.reader == output + part] or of_output
        return DeliverStage(self._prefix, self._source, routes, owed=follow_up) if routes else None

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def _send(
        self, route: Route, publication: Publication, message: Message, state: State, tally: Tally
    ) -> None:
        annotation = publication.annotation
        memory = Memory(state, message.partition, route.reader, publication.subject)
        # Without filters everything is sent: there is nothing that would have to be remembered.
        seen = memory.recall(_former(route), owed=self._owed) if route.filters else ()
        outcome = outcome_of(route.filters, annotation, seen, follow_up=route.follow_up)
        if not outcome.is_sent:
            tally.count("outputs_total", output=route.output, outcome=outcome.value)
            return
        after = seen_after(annotation, outcome) if route.filters else None
        revised = outcome is Outcome.NO_LONGER_PASSES
        try:
            translated = route.format.translate(
                replace(publication, no_longer_passes=True) if revised else publication
            )
        except ValueError as error:
            owed = _FOLLOW_UP if revised or (annotation.withdrawn and seen) else ""
            self._put_aside("untranslatable", f"output {route.reader}{owed}: {error}", message, tally)
            tally.count("outputs_total", output=route.output, outcome="untranslatable")
            if after is not None:
                memory.keep(replace(after, standing="put_aside"))
            return
        if after is not None:
            memory.keep(after)
        headers = (*translated.headers, _MARK) if revised else translated.headers
        tally.outputs.append(Output(route.topic, message.key, translated.value, headers=headers))
        tally.count("outputs_total", output=route.output, outcome=outcome.value)


def _former(route: Route) -> tuple[str, ...]:
    """Return the names under which versions before remembered what the reader's filters had let through."""
    return tuple(f"{route.output}/{wanted.name}" for wanted in route.filters if wanted.new_or_changed)


def _consumed_at(message: Message) -> int | None:
    """Return when the alert was read, where the record still says so."""
    digits: Iterator[bytes] = (value for name, value in message.headers if name == CONSUMED_AT)
    found = next(digits, b"")
    return int(found) if found.isdigit() and len(found) < 16 else None
