"""Metrics that prometheus_client has no ready-made kind for: computed when they are scraped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Population(Collector):
    """A histogram of what there is now: members move from bucket to bucket and leave."""

    def __init__(self, name: str, documentation: str, buckets: tuple[float, ...]) -> None:
        self._name = name
        self._documentation = documentation
        self._counts = dict.fromkeys(buckets, 0.0)
        self._lock = threading.Lock()

    def move(self, bucket: float, by: float) -> None:
        """Add members to a bucket, or take them out."""
        with self._lock:
            self._counts[bucket] += by

    def collect(self) -> Iterable[Metric]:
        """Return the cumulative counts, the way histogram_quantile wants them."""
        with self._lock:
            below = list(accumulate(self._counts.values()))
        labels = ["+Inf" if bucket == float("inf") else repr(bucket) for bucket in self._counts]
        family = Metric(self._name, self._documentation, "gaugehistogram")
        for label, n in zip(labels, below, strict=True):
            family.add_sample(f"{self._name}_bucket", {"le": label}, n)
        family.add_sample(f"{self._name}_gcount", {}, below[-1])
        yield family


class Asked(Collector):
    """A gauge of some label values that a function knows.

    Parameters
    ----------
    ask : callable
        Returns (label values, value) pairs, none when there is nothing to tell.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: tuple[str, ...],
        ask: Callable[[], Iterable[tuple[tuple[str, ...], float]]],
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._ask = ask

    def collect(self) -> Iterable[Metric]:
        """Ask now."""
        family = GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, value in self._ask():
            family.add_metric(labels, value)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Return the name without asking: registering must not."""
        yield GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
