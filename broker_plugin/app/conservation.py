"""Whether everything that came in went somewhere: the balances of a run's counters.

Counters move only when a batch is committed, and with it all that became of its records, so each balance
holds exactly whenever the stages are idle. Of a live installation the counters of all its workers since their
start have to be added up; a worker that was killed has taken its counters along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

Counts = Counter[tuple[str, tuple[tuple[str, str], ...]]]
"""Sum of the observations by (name, labels in order); the names are those of the metrics."""

HISTORY_RECORDS, HISTORY_EPOCHS = "history_records", "history_epochs"
"""What came beside the alerts, where that is known: offline. No stage has counted it."""

RUNNER_REASONS = frozenset({"unexpected_error", "output_too_large"})
"""Dead letters of records that made a step raise: the stage itself has counted nothing of them."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What came in, and where it went.

    Attributes
    ----------
    what : str
        ``"packets"``, ``"alerts"``, ``"photometry"``, ``"epochs"``, ``"windows"`` or ``"annotations"``.
    came_in : int
    went : mapping of str to int
        By where: ``"published"``, ``"held"``, ``"rejected: no_object"``, ``"dead: truncated"``.
    """

    what: str
    came_in: int
    went: Mapping[str, int]

    @property
    def missing(self) -> int:
        """Return how many are not accounted for; negative when more went than came in."""
        return self.came_in - sum(self.went.values())

    @property
    def balanced(self) -> bool:
        """Return whether every one is accounted for, and once."""
        return self.missing == 0

    def __str__(self) -> str:
        """Return one line, such as ``12 alerts = 9 published + 3 rejected: no_object``."""
        parts = " + ".join(f"{n:,} {where}" for where, n in self.went.items()) or "0"
        verdict = "" if self.balanced else f": {self.missing:,} not accounted for"
        return f"{self.came_in:,} {self.what} = {parts}{verdict}"


def balances(counts: Counts, *, packets: int | None = None) -> tuple[Balance, ...]:
    """Return every balance of a run that has come to rest.

    Parameters
    ----------
    counts : Counter
        Of all stages of the run, from its beginning.
    packets : int, optional
        How many were put into the survey's topics, where that is known from elsewhere.

    Returns
    -------
    tuple of Balance
        Packets (only if their number is given), alerts, records of photometry, epochs, windows, annotations
        (only if their bands are combined). Epochs are
        left out when a record of photometry is a dead letter: nobody has counted the epochs in it.
    """
    found = []
    if packets is not None:
        read = {"read": _total(counts, "packets_consumed_total")}
        found.append(Balance("packets", packets, read | _dead(counts, "ingest", by_runner=True)))
    found.append(
        Balance(
            "alerts",
            _total(counts, "alerts_consumed_total"),
            {"published": _total(counts, "alerts_published_total")}
            | _by_reason(counts, "alerts_rejected_total", "rejected")
            | _dead(counts, "ingest", by_runner=False),
        )
    )
    lost = _dead(counts, "accumulate", by_runner=True)
    undecodable = _dead(counts, "accumulate", by_runner=False)
    merged = _total(counts, "photometry_consumed_total") - sum(undecodable.values())
    published = _total(counts, "alerts_published_total") + _total(counts, HISTORY_RECORDS)
    found.append(Balance("photometry", published, {"merged": merged} | undecodable | lost))
    if not (lost or undecodable):
        found.append(
            Balance(
                "epochs",
                _total(counts, "epochs_ingested_total") + _total(counts, HISTORY_EPOCHS),
                {
                    "held": _total(counts, "epochs_added_total"),
                    "repeated": _total(counts, "epochs_duplicate_total"),
                    "too old": _total(counts, "epochs_expired_total"),
                    **_by_reason(counts, "epochs_rejected_total", "rejected", only={"non_finite"}),
                },
            )
        )
    found.append(
        Balance(
            "windows",
            _total(counts, "windows_emitted_total"),
            {"annotated": _total(counts, "annotations_total")}
            | _if_any("withdrawals", _total(counts, "withdrawals_total"))
            | _by_reason(counts, "windows_skipped_total", "skipped")
            | _dead(counts, "score", by_runner=False)
            | _dead(counts, "score", by_runner=True),
        )
    )
    read = _if_any("combined", _total(counts, "combined_total"))
    read |= _by_reason(counts, "combined_withheld_total", "withheld")
    read |= _dead(counts, "combine", by_runner=False) | _dead(counts, "combine", by_runner=True)
    if read:  # the stage may be left out
        found.append(Balance("annotations", _total(counts, "annotations_published_total"), read))
    return tuple(found)


def _if_any(where: str, n: int) -> dict[str, int]:
    return {where: n} if n else {}


def _total(counts: Counts, name: str) -> int:
    return round(sum(n for (found, _), n in counts.items() if found == name))


def _by_reason(counts: Counts, name: str, word: str, *, only: set[str] | None = None) -> dict[str, int]:
    """Return a counter by its label ``reason``, the most frequent first."""
    reasons: Counter[str] = Counter()
    for (found, labels), n in counts.items():
        reason = dict(labels).get("reason", "")
        if found == name and n and (only is None or reason in only):
            reasons[reason] += round(n)
    return {f"{word}: {reason}": n for reason, n in reasons.most_common()}


def _dead(counts: Counts, stage: str, *, by_runner: bool) -> dict[str, int]:
    """Return a stage's dead letters by reason: those that the runner made, or those that the stage made."""
    reasons: Counter[str] = Counter()
    for (found, labels), n in counts.items():
        values = dict(labels)
        if found == "dead_letters_total" and values.get("stage") == stage:
            reason = values.get("reason", "")
            if (reason in RUNNER_REASONS) is by_runner:
                reasons[reason] += round(n)
    return {f"dead: {reason}": n for reason, n in reasons.most_common() if n}
