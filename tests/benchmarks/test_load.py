"""The end-to-end load: every twentieth alert makes a window due, and percentiles of the metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import StarLoad
from benchmarks.rows.end_to_end import percentile
from benchmarks.samples import messages, stages
from benchmarks.stage_costs import CountingState


def test_five_in_a_hundred_alerts_are_due() -> None:
    """From the first alerts on and for as long as they come; each adds one epoch and no other is new."""
    load, state = StarLoad(40), CountingState()
    ingest, accumulate = stages("ingest", "accumulate")
    history = [output.value for output in load.before("t") if output.value]
    assert not accumulate.step(messages(history), state).outputs
    shares = []
    for _ in range(5):
        packets = [load.next_alert() for _ in range(400)]
        photometry = [o.value for o in ingest.step(messages(packets), state).outputs if o.value]
        assert len(photometry) == 400
        result = accumulate.step(messages(photometry), state)
        added = sum(o.value for o in result.observations if o.name == "epochs_added_total")
        assert added == 400
        shares.append(sum(o.topic.endswith(".lightcurves") for o in result.outputs) / 400)
    assert shares == [0.05] * 5


@given(st.lists(st.floats(0.01, 59.0), min_size=20, max_size=300), st.floats(0.01, 0.99))
def test_percentiles_lie_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    """A histogram tells no more, and never less."""
    limits = [0.1, 0.5, 1.0, 5.0, 10.0, 60.0, float("inf")]
    buckets = {limit: float(np.sum(np.array(values) <= limit)) for limit in limits}
    found = percentile(buckets, share)
    true = float(np.quantile(values, share, method="inverted_cdf"))
    upper = next(limit for limit in limits if true <= limit)
    lower = max([limit for limit in limits if limit < true], default=0.0)
    assert lower - 1e-9 <= found <= upper + 1e-9


def test_percentiles_at_the_ends() -> None:
    """An empty histogram has none; beyond the last limit there is only that limit."""
    assert np.isnan(percentile({1.0: 0.0, float("inf"): 0.0}, 0.5))
    assert percentile({1.0: 1.0, float("inf"): 10.0}, 0.95) == pytest.approx(1.0)
