"""Score: windows of 200 epochs in, annotations out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from broker_plugin.annotate.compose import Provenance, compose_annotation, compose_novelty
from broker_plugin.features import screen
from broker_plugin.model.bundle import Bundle
from broker_plugin.model.scorer import Score, Scorer
from broker_plugin.period import PeriodSettings, find_periods
from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.codec import decode_window, encode_classification, encode_novelty
from broker_plugin.records.photometry import object_key
from broker_plugin.records.window import WINDOW_EPOCHS, Window
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import dead_letter, dead_letter_output
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import Headers, delays, passed_on

PeriodCatalogue = Mapping[tuple[str, str], float]
"""Known periods in days by (survey, object_id)."""


class ScoreStage:
    """Find the period, fold, run the network, judge.

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
    input_topic : str, optional
        Of the windows; by default ``<prefix>.lightcurves``. A shadow run reads the windows of another prefix.
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
        input_topic: str | None = None,
    ) -> None:
        self.name = "score"
        self.input_topics: Sequence[str] = (input_topic or f"{prefix}.lightcurves",)
        self.changelog_topic: str | None = None
        self._classifications_topic = f"{prefix}.classifications"
        self._novelties_topic = f"{prefix}.novelties"
        self._dead_letter_output = dead_letter_output(prefix)
        self._scorer = scorer
        self._provenance = provenance
        self._clock = clock
        self._period_settings = period_settings
        self._catalogue = catalogue

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Annotate a batch of windows; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        tally.count("windows_consumed_total", len(batch))
        usable = [(w, message) for message in batch if (w := self._usable(message, tally)) is not None]
        windows = [window for window, _ in usable]
        periods = self._periods(windows)
        scores = self._scorer.score(
            [
                (w.epochs["time_mjd"], w.epochs["mag"], w.epochs["magerr"], period.fold_days)
                for w, period in zip(windows, periods, strict=True)
            ]
        )
        processed_at_ms = round(self._clock() * 1000)
        for (window, message), period, score in zip(usable, periods, scores, strict=True):
            self._publish(window, period, score, processed_at_ms, headers=passed_on(message), tally=tally)
        tally.observations.extend(delays(windows, [message for _, message in usable]))
        return tally.result()

    @property
    def bundle(self) -> Bundle:
        """Return the model that scores."""
        return self._scorer.bundle

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: the stage has no state."""
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Nothing to say: the stage has no state."""
        return ()

    def _usable(self, message: Message, tally: Tally) -> Window | None:
        """Return the window, or put aside what is damaged and skip what cannot be scored."""
        try:
            window = decode_window(message.value or b"")
        except ValueError as error:
            letter = dead_letter(self.name, "undecodable_window", str(error), message)
            tally.outputs.append(self._dead_letter_output(letter))
            tally.count("dead_letters_total", stage=letter.stage, reason=letter.reason)
            return None
        if len(window.epochs) != WINDOW_EPOCHS:
            tally.count("windows_skipped_total", reason="wrong_length")
            return None
        reason = screen(window.epochs["time_mjd"], window.epochs["mag"], window.epochs["magerr"])
        if reason is not None:
            tally.count("windows_skipped_total", reason=reason)
            return None
        return window

    def _periods(self, windows: list[Window]) -> list[PeriodReport]:
        """Take periods from the catalogue where it has them, and search the rest."""
        known = [self._catalogue.get((window.survey, window.object_id)) for window in windows]
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

    def _publish(
        self,
        window: Window,
        period: PeriodReport,
        score: Score,
        processed_at_ms: int,
        *,
        headers: Headers,
        tally: Tally,
    ) -> None:
        annotation = compose_annotation(window, period, score, self._provenance)
        key = object_key(window.survey, window.object_id)
        classification = encode_classification(annotation, processed_at_ms)
        tally.outputs.append(Output(self._classifications_topic, key, classification, headers))
        tally.count("annotations_total", **{"class": annotation.predicted_class})
        tally.count("periods_total", outcome=_outcome(period))
        tally.observe("energy", annotation.energy)
        for feature, value in _features(score).items():
            tally.observe("drift_psi", value, feature=feature)
        if annotation.novel:
            novelty = compose_novelty(window, annotation, score)
            record = encode_novelty(novelty, processed_at_ms)
            tally.outputs.append(Output(self._novelties_topic, key, record, headers))
            tally.count("novelties_total")


def _features(score: Score) -> dict[str, float]:
    """Return what the drift metrics follow, by the names that the bundle's reference has."""
    return {**score.features, "energy": score.energy}


def _outcome(period: PeriodReport) -> str:
    if period.method == "catalogue":
        return "catalogue"
    return "not_significant" if period.value_days is None else "significant"
