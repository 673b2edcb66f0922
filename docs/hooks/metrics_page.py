"""The page of all metrics, from the table that they are made of."""

from __future__ import annotations

from broker_plugin.metrics import METRICS, PREFIX

_HEAD = """# Metrics

Served by `broker-plugin run` at `/metrics`, by default on `127.0.0.1:9464`; `/livez` and `/readyz` are
beside it. Counters end in `_total`, durations are in seconds, sizes in bytes. Object ids are never labels.
What a stage counts moves only when the transaction of its batch has committed.

| metric | kind | labels | meaning |
|---|---|---|---|
"""
# What Prometheus calls each kind of the table's.
_KINDS = {"counter": "counter", "histogram": "histogram", "age": "histogram", "population": "histogram"}


def text() -> str:
    """Return the page as Markdown."""
    rows = []
    for name, metric in METRICS.items():
        kind = "gauge, always 1" if metric.kind == "info" else _KINDS.get(metric.kind, "gauge")
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{PREFIX}{name}` | {kind} | {labels} | {metric.help} |\n")
    return _HEAD + "".join(rows)
