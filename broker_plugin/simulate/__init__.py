"""Nights of ZTF-format and LSST-format alerts with a truth table, simulated or made of real light curves."""

from __future__ import annotations

from broker_plugin.simulate.from_parquet import simulate_from_parquet
from broker_plugin.simulate.generate import SimulationSummary, simulate
from broker_plugin.simulate.settings import SimulationSettings, demo_settings

__all__ = [
    "SimulationSettings",
    "SimulationSummary",
    "demo_settings",
    "simulate",
    "simulate_from_parquet",
]
