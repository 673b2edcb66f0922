"""A score stage whose model is a function of the window, for tests of what is published of its verdicts.

The mean magnitude of a window is its verdict: 10 * (class) + energy, so tests say what the model says.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from broker_plugin.annotate.changes import Margins
from broker_plugin.annotate.compose import Provenance
from broker_plugin.model.scorer import Score
from broker_plugin.period import PeriodSettings
from broker_plugin.records.codec import encode_window
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.window import WINDOW_EPOCHS, WITHDRAWAL, Window
from broker_plugin.runner.protocols import Message
from broker_plugin.stages.score import ScoreStage

CLASSES = ("ECL", "RRAB", "SR")
THRESHOLD = 5.0
OBJECTS = ("ZTF18aaaaaaa", "ZTF18aaaaaab")


class JudgingScorer:
    """Reads class (tens of the mean magnitude) and energy (its units) from the window."""

    bundle = SimpleNamespace(manifest=SimpleNamespace(thresholds=SimpleNamespace(novel=THRESHOLD)))

    def score(self, windows):
        return [self._judge(window[0], window[1]) for window in windows]

    def _judge(self, time, mag) -> Score:
        mean = float(np.mean(mag, dtype=np.float64))
        number, energy = int(mean // 10) % len(CLASSES), round(mean % 10, 3)
        probabilities = np.full(len(CLASSES), 0.1)
        probabilities[number] = 0.8
        return Score(
            probabilities=probabilities,
            predicted_class=CLASSES[number],
            energy=energy,
            percentile=50.0,
            p_value=0.5,
            novel_80=False,
            novel_95=False,
            novel=energy >= THRESHOLD,
            responsible_index=number,
            responsible_component=CLASSES[number],
            euclidean=0.1,
            cosine=0.9,
            mean_mag=mean,
            std_mag=0.1,
            z=np.zeros(2),
            phase=np.linspace(0, 1, len(time), endpoint=False),
            reconstruction_mag=np.asarray(mag, dtype=np.float32),
            features={},
            neighbours=(),
        )


def judging_stage(publish: str = "changes", model: str = "a", prefix: str = "t") -> ScoreStage:
    """Return the stage; periods come from a catalogue, so no search is made."""
    return ScoreStage(
        prefix,
        JudgingScorer(),
        Provenance("m", "1", model * 64, "0", CLASSES),
        clock=lambda: 1_767_225_600.0,
        period_settings=PeriodSettings(),
        catalogue={("ztf", name): 0.5 for name in OBJECTS},
        publish=publish,
        margins=Margins(),
    )


def judged_window(
    verdict: float,
    last: int = 200,
    *,
    object_id: str = OBJECTS[0],
    n_epochs: int = WINDOW_EPOCHS,
    gone: tuple[int, ...] = (),
    without: tuple[int, ...] = (),
) -> Window:
    """Return the window of the newest epochs up to day ``last``, one a day.

    Parameters
    ----------
    verdict : float
        10 * (number of the class) + energy.
    last : int
        Day of the last epoch, and number of epochs so far.
    n_epochs : int
        Fewer than 200 make it what a withdrawal left.
    gone : tuple of int
        Days whose withdrawal made it due.
    without : tuple of int
        Days that are missing.
    """
    days = [day for day in range(last, 0, -1) if day not in without][:n_epochs][::-1]
    size = len(days)
    wiggle = np.zeros(size)
    if size:
        wiggle[0], wiggle[-1] = -0.1, 0.1  # a constant light curve cannot be scored
    epochs = make_epochs(58000.0 + np.array(days), verdict + wiggle, np.full(size, 0.02), version=last)
    kind = "latest" if size == WINDOW_EPOCHS else WITHDRAWAL
    gone_mjd = tuple(58000.0 + day for day in gone)
    total = last - len(without)
    return Window("ztf", object_id, "r", 1.0, 2.0, str(last), 58000.0 + last, kind, total, epochs, gone_mjd)


def judged_message(offset: int, window: Window, *, rescore: str | None = None) -> Message:
    """Return the record of a window."""
    headers = () if rescore is None else (("rescore", (rescore * 64).encode()),)
    key = f"ztf/{window.object_id}".encode()
    return Message("t.lightcurves", 0, offset, key, encode_window(window), headers=headers)
