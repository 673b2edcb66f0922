"""Small simulations, made once for all the tests that only look at them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from broker_plugin.archive import Packet, iter_packets
from broker_plugin.simulate import SimulationSettings, SimulationSummary, simulate

ZTF_SETTINGS = SimulationSettings(
    n_objects=15,
    n_nights=150,
    seed=7,
    n_fields=2,
    duplicate_fraction=0.03,
    out_of_order_fraction=0.1,
    start_date=dt.date(2023, 9, 1),
)
LSST_SETTINGS = SimulationSettings(
    survey="lsst",
    n_objects=8,
    n_nights=150,
    seed=8,
    n_fields=1,
    bands=("g", "r", "i"),
    cadence_factor=4.0,
    start_date=dt.date(2025, 11, 1),
)


@dataclass(frozen=True)
class Simulated:
    """A simulation on disk."""

    folder: Path
    settings: SimulationSettings
    summary: SimulationSummary
    packets: list[Packet]
    truth: pd.DataFrame


def run(settings: SimulationSettings, folder: Path) -> Simulated:
    summary = simulate(settings, folder)
    truth = pd.read_csv(summary.truth_path, dtype={"object_id": str})
    return Simulated(folder, settings, summary, list(iter_packets([folder])), truth)


@pytest.fixture(scope="session")
def ztf(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return run(ZTF_SETTINGS, tmp_path_factory.mktemp("ztf"))


@pytest.fixture(scope="session")
def lsst(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return run(LSST_SETTINGS, tmp_path_factory.mktemp("lsst"))
