"""The counters of running workers, as their metrics servers tell them."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections import Counter
from collections.abc import Iterable

from broker_plugin.app.conservation import Counts

_LINE = re.compile(r"^broker_plugin_(\w+?)(?:\{(.*)\})? ([^ ]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def counts_of_page(page: str) -> Counts:
    """Return what a page of ``/metrics`` says, by name and labels."""
    counts: Counts = Counter()
    for name, labels, value in _LINE.findall(page):
        counts[name, tuple(sorted(_LABEL.findall(labels)))] += float(value)  # type: ignore[assignment]
    return counts


def scrape(ports: Iterable[int]) -> Counts:
    """Return the sum of the metrics of all workers; of one that does not answer, nothing."""
    counts: Counts = Counter()
    for port in ports:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                counts.update(counts_of_page(answer.read().decode()))
        except OSError:
            continue
    return counts


def total(counts: Counts, name: str, **labels: str) -> int:
    """Return the sum of a metric over all labels that are not given."""
    wanted = set(labels.items())
    return round(sum(n for (found, has), n in counts.items() if found == name and wanted <= set(has)))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
