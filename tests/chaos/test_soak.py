"""A load over many objects and, in the long version, long enough for a leak to show."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from benchmarks.soak import Plan, Sample, flatness, soak
from tests.chaos.conftest import own_jars

logger = logging.getLogger(__name__)


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("alerts", "flat"),
    [
        pytest.param(8_000, False, id="short"),
        pytest.param(1_000_000, True, id="long", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(7200)
def test_soak(tmp_path: Path, alerts: int, flat: bool) -> None:
    """Every alert accounted for, the audit clean, no transaction aborted; if long, memory and rate flat."""
    own_jars()
    plan = Plan(
        alerts, alerts // 10, tmp_path / "soak", every_seconds=10.0 if flat else 0.5, judged_flat=flat
    )
    summary = soak(plan)
    logger.info("%s", summary)
    assert summary["problems"] == []
    assert summary["audit"]["photometry"] == alerts
    assert (plan.out / "series.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("rates", "memory", "verdict"),
    [
        ([100.0] * 40, [200.0] * 40, ""),
        ([100.0] * 40, [200.0, 240.0] * 20, ""),  # buffers fill and empty
        ([100.0] * 40, [200.0 + 3.0 * n for n in range(40)], "memory of state grew"),
        ([100.0 - 2.0 * n for n in range(40)], [200.0] * 40, "rate_ingest fell"),
    ],
    ids=["flat", "sawtooth", "leak", "slowing"],
)
def test_what_counts_as_flat(rates: list[float], memory: list[float], verdict: str) -> None:
    """The judgement itself can say no."""
    samples = [
        Sample(10.0 * n, 25 * n, 25 * n, 25 * n, 0, 0, rate, rate, {}, {"state": rss}, {}, 0.0)
        for n, (rate, rss) in enumerate(zip(rates, memory, strict=True))
    ]
    _, problems = flatness(samples, 1000)
    assert bool(problems) == bool(verdict)
    assert all(problem.startswith(("memory", "rate")) for problem in problems)
    assert not verdict or any(problem.startswith(verdict) for problem in problems)
