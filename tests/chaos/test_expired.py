"""Photometry that expires before it is read: nobody can bring it back, and nobody is left in the dark."""

from __future__ import annotations

import re

import pytest

from broker_plugin.runner.protocols import Partition
from tests.chaos.counters import free_port, scrape, total
from tests.chaos.harness import Installation, Worker, wait_until
from tests.chaos.load import light_curves

pytestmark = pytest.mark.kafka

SEED = 20251103
_LOST = re.compile(r"LOST: up to (\d+) records of (\S+)/(\d+) \(offsets (\d+) to (\d+)\) expired")


def expire(installation: Installation) -> dict[int, int]:
    """Delete half of what is to be read in each partition, as retention does; return the new beginnings."""
    here = [Partition(installation.photometry, number) for number in range(installation.partitions)]
    stands = installation.bus.committed(f"{installation.prefix}.accumulate", here)
    begins = {}
    for partition in here:
        _, end = installation.bus.offsets(partition)
        begins[partition.partition] = (end + (stands[partition] or 0)) // 2
        installation.bus.delete_records(partition, begins[partition.partition])
    return begins


def told(worker: Worker) -> dict[int, int]:
    """Return where each partition begins now, by the worker's own words."""
    return {int(number): int(last) + 1 for _, _, number, _, last in _LOST.findall(worker.output)}


def test_what_expires_unread_is_told(installation: Installation) -> None:
    """While the worker was down, and while it slept: an error for each partition, a counter; it goes on."""
    port = free_port()
    metrics = {"METRICS__ENABLED": "true", "METRICS__PORT": str(port)}
    records = light_curves(SEED, n_objects=30, n_epochs=400)
    third = len(records) // 3
    with installation.feed(records[:third]):
        first = installation.worker("a")
    installation.wait_until_idle()
    assert first.terminate() == 0, first.output
    assert not told(first)

    with installation.feed(records[third : 2 * third]):
        pass
    begins = expire(installation)
    second = installation.worker("a", **metrics)
    installation.wait_until_idle()
    assert told(second) == begins
    counted = total(scrape([port]), "records_expired_total", stage="accumulate")
    assert counted == sum(int(n) for n, *_ in _LOST.findall(second.output)) > 0

    second.stop()
    with installation.feed(records[2 * third :]):
        pass
    begins = expire(installation)
    second.resume()
    wait_until(lambda: told(second) == begins, lambda: f"{begins} in:\n{second.output[-3000:]}")
    installation.wait_until_idle()
    assert second.terminate() == 0, second.output
    assert "ERROR" in second.output
