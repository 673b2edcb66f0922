"""Score: windows of 200 epochs in, annotations out, and of those only what is news.

The state is what was published last of each light curve (:mod:`broker_plugin.annotate.memory`). Windows are
taken one by one in their order, so the chain of revisions depends on the topic of windows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from broker_plugin.annotate.changes import Margins
from broker_plugin.annotate.compose import (
    Provenance,
    compose_annotation,
    compose_novelty,
    withdrawn_novelty,
)
from broker_plugin.annotate.memory import (
    Decision,
    Memory,
    Policy,
    Publish,
    decide,
    is_stale,
    memory_key,
    withdraw,
)
from broker_plugin.catalogue.known import KnownStars
from broker_plugin.features import screen
from broker_plugin.features.external import external_features
from broker_plugin.model.bundle import Bundle
from broker_plugin.model.scorer import Score, Scorer
from broker_plugin.period import PeriodSettings, find_periods
from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.codec import decode_window, encode_classification, encode_novelty
from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.photometry import object_key
from broker_plugin.records.window import WINDOW_EPOCHS, WITHDRAWAL, Window
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import delays, passed_on

RESCORE = "rescore"
"""Header of a window that was sent again, so that the model whose digest it names judges it."""

PeriodCatalogue = Mapping[tuple[str, str], float]
"""Known periods in days by (survey, object_id)."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """A usable window and what the model said; withdrawals have no score."""

    message: Message
    window: Window
    period: PeriodReport | None = None
    score: Score | None = None
    match: CatalogueMatch | None = None


class ScoreStage:
    """Find the period, fold, run the network, judge; publish what is not said yet.

    Parameters
    ----------
    prefix : str
        Of the topics.
    scorer : Scorer
        Of a bundle that has proved itself.
    provenance : Provenance
    clock : callable
        Returns the time in seconds since the epoch; stamps ``processed_at``.
    period_settings : PeriodSettings
    catalogue : mapping of (survey, object_id) to period in days
        Objects in it are not searched.
    known_stars : KnownStars, optional
        A catalogue that is asked by position.
    input_topic : str, optional
        Of the windows; by default ``<prefix>.lightcurves``. A shadow reads those of the model in use.
    dead_letter_prefix : str, optional
        Of the topic of dead letters; by default that of the other topics.
    name : str
        Of the stage, its group and its metrics.
    publish : {"changes", "all"}
        What of the windows is published.
    margins : Margins
        How clear a change has to be.
    in_use : bool
        Whether the metrics of annotations are about this model; a shadow counts its dead letters only.
    """

    def __init__(
        self,
        prefix: str,
        scorer: Scorer,
        provenance: Provenance,
        *,
        clock: Callable[[], float],
        period_settings: PeriodSettings,
        catalogue: PeriodCatalogue,
        known_stars: KnownStars | None = None,
        input_topic: str | None = None,
        dead_letter_prefix: str | None = None,
        name: str = "score",
        publish: Publish = "changes",
        margins: Margins | None = None,
        in_use: bool = True,
    ) -> None:
        self.name = name
        self.input_topics: Sequence[str] = (input_topic or f"{prefix}.lightcurves",)
        self.changelog_topic: str | None = f"{prefix}.score-changelog"
        self._classifications_topic = f"{prefix}.classifications"
        self._novelties_topic = f"{prefix}.novelties"
        self._put_aside = PutAside(name, dead_letter_prefix or prefix)
        self._scorer = scorer
        self._provenance = provenance
        self._clock = clock
        self._period_settings = period_settings
        self._catalogue = catalogue
        self._known_stars = known_stars
        self._in_use = in_use
        threshold = scorer.bundle.manifest.thresholds.novel
        self._policy = Policy(publish, margins or Margins(), threshold)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Annotate a batch of windows; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        tally.count("windows_consumed_total", len(batch))
        usable = [(m, w) for m in batch if (w := self._usable(m, state, tally)) is not None]
        processed_at_ms = round(self._clock() * 1000)
        published = []
        for scored in self._scored(usable):
            decision = self._decide(scored, state, tally)
            if decision.annotation is not None:
                self._publish(scored, decision, processed_at_ms, tally)
                published.append(scored)
        tally.observations.extend(delays([s.window for s in published], [s.message for s in published]))
        result = tally.result()
        if self._in_use:
            return result
        letters = [o for o in result.observations if o.name == "dead_letters_total"]
        return replace(result, observations=letters)

    @property
    def bundle(self) -> Bundle:
        """Return the model that scores."""
        return self._scorer.bundle

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: there are no gauges of the state."""
        return ()

    def _usable(self, message: Message, state: State, tally: Tally) -> Window | None:
        """Return the window, or put aside what is damaged and skip what cannot be scored."""
        try:
            window = decode_window(message.value or b"")
        except ValueError as error:
            self._put_aside("undecodable_window", str(error), message, tally)
            return None
        if window.kind == WITHDRAWAL:
            return window
        reason = self._not_asked(message, window, state) or unfit(window)
        if reason is not None:
            tally.count("windows_skipped_total", reason=reason)
            return None
        return window

    def _not_asked(self, message: Message, window: Window, state: State) -> str | None:
        """Return why a window that was sent again needs no second look, before any work is done on it."""
        asked = _asked_of(message)
        if asked is None:
            return None
        if asked != self._provenance.model_digest:
            return "other_model"
        memory = _remembered(state, message.partition, window)
        return None if is_stale(memory, self._provenance.model_digest) else "not_stale"

    def _scored(self, usable: Sequence[tuple[Message, Window]]) -> list[_Scored]:
        """Score all windows of a batch together; withdrawals keep their place among them."""
        windows = [window for _, window in usable if window.kind != WITHDRAWAL]
        matches = [None] * len(windows) if self._known_stars is None else self._known_stars.match(windows)
        periods = self._periods(windows, matches)
        scores = self._scorer.score(
            [
                (
                    w.epochs["time_mjd"],
                    w.epochs["mag"],
                    w.epochs["magerr"],
                    period.fold_days,
                    external_features(match, w.band_means),
                )
                for w, period, match in zip(windows, periods, matches, strict=True)
            ]
        )
        judged = iter(zip(periods, scores, matches, strict=True))
        return [
            _Scored(message, window, *(() if window.kind == WITHDRAWAL else next(judged)))
            for message, window in usable
        ]

    def _decide(self, scored: _Scored, state: State, tally: Tally) -> Decision:
        """Decide, remember, count."""
        window, partition = scored.window, scored.message.partition
        memory = _remembered(state, partition, window)
        if scored.score is None or scored.period is None:
            decision = withdraw(window, memory)
            tally.count("withdrawals_total")
        else:
            annotation = compose_annotation(
                window, scored.period, scored.score, self._provenance, match=scored.match
            )
            asked = _asked_of(scored.message) is not None
            decision = decide(annotation, window, memory, self._policy, asked=asked)
            tally.count("annotations_total", **{"class": annotation.predicted_class})
            tally.count("novelties_total", int(annotation.novel))
            tally.count("periods_total", outcome=_outcome(scored.period))
            if self._known_stars is not None:
                tally.count("catalogue_matches_total", outcome=_match_outcome(scored.match))
            tally.observe("energy", annotation.energy)
            for feature, value in _features(scored.score).items():
                tally.observe("drift_psi", value, feature=feature)
        if decision.annotation is None:
            tally.count("annotations_withheld_total", reason=decision.outcome)
        else:
            tally.count("annotations_published_total", change=decision.outcome)
        if decision.memory is not None and decision.memory != memory:
            key = memory_key(window.survey, window.object_id, window.band)
            state.put(partition, key, decision.memory.pack())
        return decision

    def _periods(self, windows: list[Window], matches: Sequence[CatalogueMatch | None]) -> list[PeriodReport]:
        """Take periods from the catalogues where they have them, by id first, and search the rest."""
        known = [self._catalogue.get((window.survey, window.object_id)) for window in windows]
        if self._known_stars is not None:
            by_place = [self._known_stars.period_of(match) for match in matches]
            known = [period or place for period, place in zip(known, by_place, strict=True)]
        unknown = [window for window, period in zip(windows, known, strict=True) if period is None]
        searched = iter(
            find_periods(
                [
                    (np.ascontiguousarray(w.epochs["time_mjd"]), w.epochs["mag"], w.epochs["magerr"])
                    for w in unknown
                ],
                self._period_settings,
            )
        )
        return [
            next(searched) if period is None else PeriodReport(period, period, "catalogue", 0.0, ())
            for period in known
        ]

    def _publish(self, scored: _Scored, decision: Decision, processed_at_ms: int, tally: Tally) -> None:
        annotation = decision.annotation
        assert annotation is not None, "only what is to be published"
        key = object_key(annotation.survey, annotation.object_id)
        headers = passed_on(scored.message)
        classification = encode_classification(annotation, processed_at_ms)
        tally.outputs.append(Output(self._classifications_topic, key, classification, headers))
        if decision.to_novelties:
            novelty = (
                withdrawn_novelty(annotation)
                if scored.score is None
                else compose_novelty(scored.window, annotation, scored.score)
            )
            record = encode_novelty(novelty, processed_at_ms)
            tally.outputs.append(Output(self._novelties_topic, key, record, headers))


def unfit(window: Window) -> str | None:
    """Return why a window cannot be scored; None if it can."""
    if len(window.epochs) != WINDOW_EPOCHS:
        return "wrong_length"
    return screen(window.epochs["time_mjd"], window.epochs["mag"], window.epochs["magerr"])


def _asked_of(message: Message) -> str | None:
    """Return the model that is to judge a window that was sent again."""
    return next((value.decode() for name, value in message.headers if name == RESCORE), None)


def _remembered(state: State, partition: int, window: Window) -> Memory | None:
    packed = state.get(partition, memory_key(window.survey, window.object_id, window.band))
    return None if packed is None else Memory.unpack(packed)


def _features(score: Score) -> dict[str, float]:
    """Return what the drift metrics follow, by the names that the bundle's reference has."""
    return {**score.features, "energy": score.energy}


def _match_outcome(match: CatalogueMatch | None) -> str:
    if match is None:
        return "none"
    return "ambiguous" if match.ambiguous else "matched"


def _outcome(period: PeriodReport) -> str:
    if period.method == "catalogue":
        return "catalogue"
    return "not_significant" if period.value_days is None else "significant"
