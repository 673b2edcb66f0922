"""The first stage: packets of any survey in, slim photometry keyed by object out.

Survey topics are not keyed by object, and a packet is twenty times as large as what we want of it. This
stage reads each packet once; everything after it sees only its output.

The survey's topics live on a cluster of their own, so its offsets cannot be part of our transaction and a
packet may be read twice: the accumulator's merge makes that harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from broker_plugin.decode import Alert, Decoder, Malformed, Rejected, SchemaSource
from broker_plugin.photometry import QualityCuts, measure
from broker_plugin.records.codec import encode_photometry
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import Headers, consumed_now


class IngestStage:
    """Decode, measure, key by object (a :class:`broker_plugin.runner.protocols.Stage` without state).

    Parameters
    ----------
    input_topics : sequence of str
        The survey's topics; which survey a packet is from shows in the packet.
    prefix : str
        Outputs go to ``<prefix>.photometry`` and ``<prefix>.dead-letters``.
    cuts : QualityCuts
    schemas : SchemaSource, optional
        For registry-framed packets; by default the schemas bundled in ``lsst-alert-packet``.
    clock : callable, optional
        Returns seconds since 1970; stamps when an alert was consumed, for the delay metrics.
    """

    name = "ingest"
    changelog_topic: str | None = None

    def __init__(
        self,
        input_topics: Sequence[str],
        prefix: str,
        cuts: QualityCuts | None = None,
        *,
        schemas: SchemaSource | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.input_topics: Sequence[str] = tuple(input_topics)
        self._prefix = prefix
        self._put_aside = PutAside(self.name, prefix)
        self._cuts = cuts if cuts is not None else QualityCuts()
        self._decoder = Decoder(schemas)
        self._clock = clock

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Turn packets into photometry and dead letters, in the order of the packets.

        Has no effect besides its result, except that schemas seen once are remembered.
        """
        headers = consumed_now(self._clock()) if self._clock is not None else ()
        decoded = [(message, self._decoder.decode(message.value)) for message in batch]
        alerts = [entry for _, entries in decoded for entry in entries if isinstance(entry, Alert)]
        measured = measure(alerts, self._cuts)
        results = iter(measured.results)

        tally = Tally()
        tally.count("packets_consumed_total", len(batch))
        for message, entries in decoded:
            malformed = [entry for entry in entries if isinstance(entry, Malformed)]
            for entry in entries:
                if isinstance(entry, Malformed):
                    if entry is malformed[0]:
                        self._put_aside_once(message, malformed, tally)
                    continue
                tally.count("alerts_consumed_total", survey=entry.survey)
                result = next(results) if isinstance(entry, Alert) else entry
                if isinstance(result, Rejected):
                    tally.count("alerts_rejected_total", reason=result.reason)
                else:
                    tally.outputs.append(photometry_output(self._prefix, result, headers))
                    tally.count("alerts_published_total", survey=entry.survey)
        for reason, count in measured.epochs_rejected.items():
            tally.count("epochs_rejected_total", count, reason=reason)
        for (survey, origin), count in measured.epochs_used.items():
            tally.count("epochs_ingested_total", count, survey=survey, origin=origin.name.lower())
        return tally.result()

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Return nothing: there is no state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Return nothing: there is no state."""
        return ()

    def _put_aside_once(self, message: Message, malformed: Sequence[Malformed], tally: Tally) -> None:
        """Write one letter for a message: it holds all of it; one for each bad alert could fill gigabytes."""
        first, more = malformed[0], len(malformed) - 1
        detail = f"{first.detail} (and {more} more of its alerts)" if more else first.detail
        self._put_aside(first.reason, detail, message, tally)
        tally.count("alerts_consumed_total", survey="unknown")


def photometry_output(prefix: str, photometry: ObjectPhotometry, headers: Headers = ()) -> Output:
    """Return a record of the photometry topic, keyed by its object."""
    key = object_key(photometry.survey, photometry.object_id)
    return Output(f"{prefix}.photometry", key, encode_photometry(photometry), headers)
