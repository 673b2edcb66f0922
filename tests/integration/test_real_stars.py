"""Real stars as alerts, through all three stages on a real Kafka, against the same stars read directly."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broker_plugin.app.stages import build_stages
from broker_plugin.archive.packets import iter_packets
from broker_plugin.config import load_config
from broker_plugin.model import default_bundle_path, open_scorer
from broker_plugin.records.annotation import Annotation, Novelty
from broker_plugin.records.codec import decode_classification, decode_novelty, decode_window
from broker_plugin.records.window import Window
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.simulate.from_parquet import simulate_from_parquet
from tests.conftest import kafka_settings
from tests.integration.pipeline import committed, create_topics, publish, run_until_idle
from tests.shared import shared_path
from training.periods import SEARCH, periods_for
from training.scored import score_windows
from training.windows import read_windows

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1200)]  # three stages, each with patience of its own

N_STARS = 50


@dataclass(frozen=True)
class Outcome:
    """What went in and what the stream made of it."""

    parquet: Path
    star_of_object: dict[str, str]
    windows: list[Window]
    annotations: list[Annotation]
    novelties: list[Novelty]
    dead_letters: int


@pytest.fixture(scope="module")
def outcome(kafka_bootstrap, tmp_path_factory) -> Outcome:
    """Fifty stars of all classes, all their epochs, as ZTF packets; windows are the paper's chunks."""
    parquet = shared_path("data/asas_variables.parquet")
    nights = tmp_path_factory.mktemp("nights")
    simulate_from_parquet(parquet, nights, n_stars=N_STARS, seed=3)
    truth = pd.read_csv(nights / "truth.csv", dtype=str)

    prefix = f"stars{uuid.uuid4().hex[:8]}"
    bus = KafkaBus(kafka_settings(kafka_bootstrap))
    alerts = create_topics(bus, prefix, partitions=4, alert_partitions=1)
    environment = {"PREFIX": prefix, "ACCUMULATE__WINDOW": "paper", "SCORE__PUBLISH": "all"}
    config = load_config(None, {f"BROKER_PLUGIN_{name}": value for name, value in environment.items()})
    publish(bus, alerts, (packet.payload for packet in iter_packets([nights])))
    run_until_idle(bus, prefix, build_stages(config), state_dir=tmp_path_factory.mktemp("state"))
    return Outcome(
        parquet=parquet,
        star_of_object=dict(zip(truth["object_id"], truth["kind"], strict=True)),
        windows=[decode_window(m.value) for m in committed(bus, prefix, "lightcurves")],
        annotations=[decode_classification(m.value) for m in committed(bus, prefix, "classifications")],
        novelties=[decode_novelty(m.value) for m in committed(bus, prefix, "novelties")],
        dead_letters=len(committed(bus, prefix, "dead-letters")),
    )


def expected_chunks(outcome: Outcome) -> dict[tuple[str, int], pd.DataFrame]:
    """Cut each star into chunks of 200 epochs in time order, straight from the parquet."""
    stars = pd.read_parquet(outcome.parquet, columns=["star_id", "hjd", "mag", "magerr"])
    chunks = {}
    for row in stars[stars["star_id"].isin(set(outcome.star_of_object.values()))].itertuples():
        epochs = pd.DataFrame({"time": row.hjd, "mag": row.mag, "magerr": row.magerr}).sort_values("time")
        for number in range(len(epochs) // 200):
            chunks[row.star_id, number] = epochs.iloc[200 * number : 200 * (number + 1)]
    return chunks


def star_of(outcome: Outcome, window: Window | Annotation) -> str:
    return outcome.star_of_object[window.object_id]


def test_windows_equal_those_cut_from_the_file(outcome) -> None:
    """Nothing lost, doubled or moved on the way through packets, magnitudes, barycentres and state."""
    expected = expected_chunks(outcome)
    by_star: dict[str, list[Window]] = {}
    for window in outcome.windows:
        by_star.setdefault(star_of(outcome, window), []).append(window)

    assert len(by_star) == N_STARS
    assert len(outcome.windows) == len(expected)
    for star, windows in by_star.items():
        for number, window in enumerate(sorted(windows, key=lambda w: w.epochs["time_mjd"][0])):
            chunk = expected[star, number]
            times = chunk["time"].to_numpy()
            times = times - 2400000.5 if times[0] > 2400000 else times
            np.testing.assert_allclose(window.epochs["time_mjd"], times, rtol=0, atol=1e-8)
            np.testing.assert_allclose(window.epochs["mag"], chunk["mag"], rtol=0, atol=2e-6)
            np.testing.assert_allclose(window.epochs["magerr"], chunk["magerr"], rtol=2e-6)


def test_every_window_is_annotated_exactly_once(outcome) -> None:
    """What a read_committed consumer sees: one annotation a window, each with an id of its own."""
    assert outcome.dead_letters == 0
    assert Counter(a.window_id for a in outcome.annotations) == Counter(w.window_id for w in outcome.windows)
    assert len({a.annotation_id for a in outcome.annotations}) == len(outcome.annotations)
    novel = {a.annotation_id for a in outcome.annotations if a.novel}
    told = [n.annotation.annotation_id for n in outcome.novelties if n.annotation.novel]
    assert set(told) == novel
    assert len(told) == len(novel)


def test_scores_equal_the_evaluation_of_the_training_package(outcome, tmp_path) -> None:
    """The stream's probabilities and energies against those that `training` finds from the parquet."""
    wanted = set(outcome.star_of_object.values())
    table = read_windows(outcome.parquet)
    index = np.flatnonzero(np.isin(table.star_id, list(wanted)))
    periods = periods_for(table, SEARCH, tmp_path, index=index)
    scorer = open_scorer(default_bundle_path())
    scores = score_windows(scorer, table, periods.period_days, index)
    evaluated = {
        (table.star_id[i], int(table.chunk[i])): (periods.period_days[i], row) for row, i in enumerate(index)
    }

    assert len(evaluated) == len(outcome.annotations)
    chunks: Counter[str] = Counter()
    for annotation in sorted(outcome.annotations, key=lambda a: a.first_epoch_mjd):
        star = star_of(outcome, annotation)
        key = (star, chunks[star])
        chunks[star] += 1
        period_days, row = evaluated[key]
        assert annotation.period.fold_days == pytest.approx(period_days, rel=1e-6), key
        streamed = np.array([annotation.probabilities[name] for name in scorer.bundle.manifest.classes])
        np.testing.assert_allclose(streamed, scores.probabilities[row], rtol=0, atol=1e-4, err_msg=str(key))
        assert annotation.energy == pytest.approx(scores.energy[row], rel=1e-4, abs=1e-3), key
