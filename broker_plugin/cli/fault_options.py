"""``--fault`` and its kin, and the record of what they did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from broker_plugin.archive.faults import KINDS, Fault, FaultReport, FaultSettings, with_faults
from broker_plugin.archive.packets import Packet
from broker_plugin.errors import InputError

_NAMES = tuple(kind.replace("_", "-") for kind in KINDS)
FAULT_HELP = (
    f"KIND=SHARE[,...], may be repeated: this share of the packets, 0 to 1, meets with {', '.join(_NAMES)}."
)


def parse_faults(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """Read ``duplicate=0.1,drop=0.05``; for a click option."""
    shares: dict[str, float] = {}
    for part in ",".join(given).split(",") if given else ():
        name, _, share = part.strip().partition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if name not in _NAMES or not 0.0 <= value <= 1.0:
            msg = (
                f"found {part!r}, expected KIND=SHARE with a share from 0 to 1 and one of {', '.join(_NAMES)}"
            )
            raise click.BadParameter(msg)
        if name.replace("-", "_") in shares:
            msg = f"{name} is given twice"
            raise click.BadParameter(msg)
        shares[name.replace("-", "_")] = value
    return shares


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What shall happen, and where it is written down."""

    settings: FaultSettings
    seed: int
    record: Path

    @contextmanager
    def applied(self, packets: Iterable[Packet]) -> Iterator[tuple[Iterator[Packet], FaultReport]]:
        """Give the packets with their faults; every fault becomes a line of the record, the sums its last."""
        if not self.settings.any:
            yield iter(packets), FaultReport()
            return
        report = FaultReport()
        try:
            self.record.parent.mkdir(parents=True, exist_ok=True)
            with self.record.open("w", encoding="utf-8") as stream:

                def note(fault: Fault) -> None:
                    stream.write(json.dumps(asdict(fault)) + "\n")

                yield with_faults(packets, self.settings, self.seed, report=report, on_fault=note), report
                sums = {"settings": asdict(self.settings), "seed": self.seed, "read": report.read}
                sums |= {"sent": report.sent, "counts": dict(report.counts)}
                stream.write(json.dumps(sums) + "\n")
        except OSError as error:
            msg = f"{error.filename or self.record}: {error.strerror}; name another --fault-record"
            raise InputError(msg) from error

    def rows(self, report: FaultReport) -> list[tuple[str, str]]:
        """Return lines of a table: what happened to how many packets."""
        if not self.settings.any:
            return []
        done = [(f"packets: {kind.replace('_', '-')}", f"{report.counts[kind]:,}") for kind in report.counts]
        return [("packets read", f"{report.read:,}"), ("packets sent", f"{report.sent:,}"), *sorted(done)]
