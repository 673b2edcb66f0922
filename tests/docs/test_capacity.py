"""The capacity page: its tables are those of the shipped figures, and the formulas are what the page says."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.capacity import BUSY, SCENARIOS, SHIPPED, names, need, read_results, tables
from benchmarks.pages import write_into

PAGE = Path(__file__).resolve().parents[2] / "docs" / "capacity.md"


def figures(**changed: float) -> dict[str, float]:
    """Return figures that can be reckoned with in the head."""
    return dict.fromkeys(names(), 1.0) | {"runner_seconds": 0.0} | changed


def test_page_has_the_tables_of_the_shipped_figures() -> None:
    """After new figures: python -m benchmarks.capacity --write docs/capacity.md."""
    page = PAGE.read_text()
    assert write_into(page, "capacity", tables(read_results([SHIPPED]))) == page


def test_cores_and_windows() -> None:
    """Ten alerts a second of one core-second each; every new epoch of a full light curve."""
    scenario = replace(SCENARIOS[0], peak_per_second=10.0, ready_share=1.0)
    found = need(scenario, figures(new_epochs_ztf=2.0, score_seconds=3.0))
    assert found.ingest_cores == pytest.approx(10.0 / BUSY)
    assert found.windows_per_second == pytest.approx(10.0 * 2.0 / 20)
    assert found.score_cores == pytest.approx(3.0 / BUSY)
    with_runner = need(scenario, figures(runner_seconds=1.0))
    assert with_runner.ingest_cores == pytest.approx(20.0 / BUSY)


def test_disk_and_partitions() -> None:
    """Two terabytes of state want a hundred partitions of 20 GB, rounded up to a power of two."""
    scenario = replace(SCENARIOS[1], stars=1e9, epochs_per_star=80.0, peak_per_second=0.1, ready_share=0.0)
    found = need(scenario, figures(state_bytes_per_epoch_lsst=25.0))
    assert found.state_gb == pytest.approx(2000.0)
    assert found.kafka_gb == pytest.approx(1.5 * 2000.0 + 7 * scenario.alerts_per_night / 1e9)
    assert found.partitions == 128


def test_more_of_anything_never_takes_less() -> None:
    """Each survey takes at least what the one before it takes."""
    shipped = {name: float(figure["value"]) for name, figure in read_results([SHIPPED]).items()}
    needs = [need(scenario, shipped) for scenario in SCENARIOS]
    for smaller, larger in itertools.pairwise(needs):
        assert smaller.ingest_cores <= larger.ingest_cores
        assert smaller.kafka_gb <= larger.kafka_gb
        assert smaller.partitions <= larger.partitions


def test_later_results_win_and_missing_ones_are_named(tmp_path: Path) -> None:
    """A benchmark that measures one figure again need not measure all."""
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps({"measured": {"score_seconds": {"value": 0.5, "unit": "s", "how": "here"}}}))
    assert read_results([SHIPPED, newer])["score_seconds"]["value"] == 0.5
    with pytest.raises(SystemExit, match="packet_bytes_ztf"):
        read_results([newer])


def test_a_page_without_a_mark_is_refused() -> None:
    """Rather than left as it is."""
    with pytest.raises(SystemExit, match="capacity: measured"):
        write_into("# Capacity\n", "capacity", tables(read_results([SHIPPED])))
