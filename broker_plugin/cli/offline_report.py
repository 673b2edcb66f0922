"""The closing table of an offline run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker_plugin.app import OfflineSummary


def offline_rows(summary: OfflineSummary) -> list[tuple[str, str]]:
    """Return name and formatted value of everything that was counted, in the order of the flow."""
    from broker_plugin.app.conservation import HISTORY_EPOCHS, balances

    rate = summary.alerts / summary.seconds if summary.seconds > 0 else 0.0
    sheets = balances(summary.counts, packets=summary.alerts)
    return [
        ("alerts", f"{summary.alerts:,}"),
        *_by_reason(summary, "alerts_rejected_total", "rejected"),
        *(("epochs of the history", f"{n:,}") for n in [summary.total(HISTORY_EPOCHS)] if n),
        ("epochs in light curves", _total(summary, "epochs_added_total")),
        *_by_reason(summary, "epochs_rejected_total", "rejected"),
        ("windows of 200 epochs", _total(summary, "windows_emitted_total")),
        *_by_reason(summary, "windows_skipped_total", "skipped"),
        ("annotations", _total(summary, "annotations_total")),
        ("  published", _total(summary, "annotations_published_total")),
        ("novelties", _total(summary, "novelties_total")),
        ("annotations of objects", _total(summary, "combined_total")),
        ("  novel", _total(summary, "combined_novelties_total")),
        ("dead letters", _total(summary, "dead_letters_total")),
        *_by_reason(summary, "dead_letters_total", "from"),
        ("accounted for", ", ".join(sheet.what for sheet in sheets if sheet.balanced)),
        *(("  NOT BALANCED", str(sheet)) for sheet in sheets if not sheet.balanced),
        ("time", f"{summary.seconds:.1f} s"),
        ("alerts per second", f"{rate:,.0f}"),
    ]


def _total(summary: OfflineSummary, name: str) -> str:
    return f"{summary.total(name):,}"


def _by_reason(summary: OfflineSummary, name: str, word: str) -> list[tuple[str, str]]:
    """Return an indented row for each set of labels, the most frequent first."""
    found = [(labels, n) for (counter, labels), n in summary.counts.items() if counter == name and n]
    found.sort(key=lambda item: (-item[1], item[0]))
    rows = []
    for labels, n in found:
        values = dict(labels)
        text = " ".join(filter(None, (values.get("stage"), values.get("reason")))).replace("_", " ")
        rows.append((f"  {word}: {text}", f"{n:,.0f}"))
    return rows
