"""The score stage as a pure step, with the shipped model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from broker_plugin.annotate.compose import Provenance
from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.model import default_bundle_path, open_scorer
from broker_plugin.period import PeriodSettings
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import (
    decode_classification,
    decode_dead_letter,
    decode_novelty,
    encode_window,
)
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.window import Window
from broker_plugin.runner.protocols import Message, StepResult
from broker_plugin.stages.score import ScoreStage
from tests.stages.test_accumulate import DictState, totals

PERIOD_DAYS = 0.6137


@pytest.fixture(scope="module")
def scorer():
    return open_scorer(default_bundle_path())


@pytest.fixture
def stage(scorer) -> ScoreStage:
    return make_stage(scorer)


def make_stage(scorer, catalogue=None) -> ScoreStage:
    provenance = Provenance("m", "1", "ab" * 32, "0", tuple(scorer.bundle.manifest.classes))
    return ScoreStage(
        "t",
        scorer,
        provenance,
        clock=lambda: 1_767_225_600.0,
        period_settings=PeriodSettings(),
        catalogue=catalogue or {},
    )


def window(seed: int = 0, object_id: str = "ZTF18aaaaaaa", period_days: float = PERIOD_DAYS) -> Window:
    """Return a sawtooth like an RR Lyrae star's, over three seasons."""
    rng = np.random.default_rng(seed)
    times = np.sort(58000 + rng.uniform(0, 900, 200))
    phase = np.mod(times / period_days, 1.0)
    mag = 15 + 0.8 * phase - 0.4 * np.exp(-(((phase - 1) / 0.05) ** 2)) + rng.normal(0, 0.02, 200)
    epochs = make_epochs(times, mag, np.full(200, 0.02), origin=2, version=7)
    return Window("ztf", object_id, "r", 1.0, 2.0, "42", float(times[-1]), "latest", 200, epochs)


def step(stage: ScoreStage, *values: bytes) -> StepResult:
    batch = [Message("t.lightcurves", 0, i, b"k", value) for i, value in enumerate(values)]
    return stage.step(batch, DictState())


def broken(change: str) -> Window:
    """Return a window that cannot be scored."""
    good = window()
    epochs = good.epochs.copy()
    match change:
        case "nan":
            epochs["mag"][3] = np.nan
        case "infinite":
            epochs["mag"][3] = np.inf
        case "constant":
            epochs["mag"] = 15.0
        case "zero error":
            epochs["magerr"][3] = 0.0
        case "equal times":
            epochs["time_mjd"] = 58000.0
        case "short":
            epochs = epochs[:199]
    return replace(good, epochs=epochs)


def annotations(result: StepResult) -> list[Annotation]:
    return [decode_classification(o.value) for o in result.outputs if o.topic == "t.classifications"]


def test_annotation_of_a_window(stage) -> None:
    """Provenance, period and probabilities are those of the window."""
    sent = window()
    result = step(stage, encode_window(sent))

    annotation = decode_classification(result.outputs[0].value)
    assert (result.outputs[0].topic, result.outputs[0].key) == ("t.classifications", b"ztf/ZTF18aaaaaaa")
    assert annotation.window_id == sent.window_id
    assert (annotation.alert_id, annotation.n_epochs, annotation.n_epochs_total) == ("42", 200, 200)
    assert annotation.period.value_days == pytest.approx(PERIOD_DAYS, rel=1e-4)
    assert sum(annotation.probabilities.values()) == pytest.approx(1.0)
    assert annotation.predicted_class == max(annotation.probabilities, key=annotation.probabilities.get)
    assert annotation.mean_mag == pytest.approx(float(sent.epochs["mag"].mean()), abs=1e-4)
    assert set(annotation.quality_flags) <= set(QUALITY_FLAGS)
    assert totals([result])["periods_total", (("outcome", "significant"),)] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("nan", "non_finite"),
        ("infinite", "non_finite"),
        ("constant", "constant"),
        ("zero error", "bad_error"),
        ("equal times", "too_few_times"),
        ("short", "wrong_length"),
    ],
)
def test_what_cannot_be_scored_is_skipped_with_a_reason(stage, change, reason) -> None:
    """No crash, no NaN annotation; the good window beside it is annotated."""
    result = step(stage, encode_window(broken(change)), encode_window(window()))

    assert [output.topic for output in result.outputs if output.topic == "t.classifications"] == [
        "t.classifications"
    ]
    assert totals([result])["windows_skipped_total", (("reason", reason),)] == 1


def test_damaged_window_is_a_dead_letter(stage) -> None:
    """Its bytes are kept."""
    result = step(stage, b"garbage")

    (letter,) = [decode_dead_letter(output.value) for output in result.outputs]
    assert (letter.stage, letter.reason, letter.value) == ("score", "undecodable_window", b"garbage")


def test_batch_mates_change_nothing(stage) -> None:
    """Forty windows together and each alone."""
    values = [encode_window(window(seed, f"ZTF18aaaaa{seed:03d}", 0.3 + 0.05 * seed)) for seed in range(40)]

    together = annotations(step(stage, *values))
    alone = [annotation for value in values for annotation in annotations(step(stage, value))]

    assert len(together) == len(alone) == 40
    for first, second in zip(together, alone, strict=True):
        assert first.annotation_id == second.annotation_id
        assert first.energy == pytest.approx(second.energy, abs=1e-4)
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)


def test_catalogue_period_is_used(scorer) -> None:
    """A known object is not searched."""
    stage = make_stage(scorer, {("ztf", "ZTF18aaaaaaa"): 1.25})

    annotation = decode_classification(step(stage, encode_window(window())).outputs[0].value)

    assert annotation.period.method == "catalogue"
    assert annotation.period.value_days == annotation.period.fold_days == 1.25
    assert annotation.period.candidates == ()


def test_noise_has_no_significant_period(stage) -> None:
    """It is published as such, with the fold that the network saw."""
    noise = window()
    epochs = noise.epochs.copy()
    epochs["mag"] = 15 + np.random.default_rng(4).normal(0, 0.1, 200)

    result = step(stage, encode_window(replace(noise, epochs=epochs)))

    annotation = decode_classification(result.outputs[0].value)
    assert annotation.period.value_days is None
    assert annotation.period.fold_days > 0
    assert "no_significant_period" in annotation.quality_flags


def test_novelty_carries_the_light_curve(stage, scorer) -> None:
    """A single dip in a flat curve: above the threshold, with data and reconstruction of every epoch."""
    flat = window()
    epochs = flat.epochs.copy()
    epochs["mag"] = 15 + np.random.default_rng(5).normal(0, 0.01, 200)
    epochs["mag"][150:165] += np.linspace(1, 4, 15)
    sent = replace(flat, epochs=epochs)

    result = step(stage, encode_window(sent))

    annotation = decode_classification(result.outputs[0].value)
    assert annotation.novel == (annotation.energy >= scorer.bundle.manifest.thresholds.novel)
    novelties = [decode_novelty(o.value) for o in result.outputs if o.topic == "t.novelties"]
    assert len(novelties) == int(annotation.novel)
    assert annotation.novel, f"energy {annotation.energy}"
    (novelty,) = novelties
    assert novelty.annotation == annotation
    np.testing.assert_array_equal(novelty.time_mjd, sent.epochs["time_mjd"])
    np.testing.assert_array_equal(novelty.mag, sent.epochs["mag"])
    assert novelty.reconstruction_mag.shape == (200,)
    assert np.isfinite(novelty.reconstruction_mag).all()


def test_when_the_alert_was_consumed_travels_on(stage) -> None:
    """What ingest noted goes on with each annotation; other headers stay behind."""
    headers = (("consumed-at-ms", b"1700000000000"), ("traceparent", b"x"))
    message = Message("t.lightcurves", 0, 0, b"k", encode_window(window()), headers=headers)

    result = stage.step([message], DictState())

    assert result.outputs
    assert {o.headers for o in result.outputs} == {(("consumed-at-ms", b"1700000000000"),)}
