"""A stream's misfortunes on demand: the same seed and the same packets give the same stream, byte for byte.

Every kind of fault draws from numbers of its own, so that one more kind, or another share of it, changes
nothing about the others.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np

from broker_plugin.archive.packets import Packet
from broker_plugin.archive.versions import SchemaMixer
from broker_plugin.decode.alert import Malformed
from broker_plugin.decode.decoder import Decoder
from broker_plugin.errors import ConfigurationError

DEFAULT_SPAN = 500


@dataclass(frozen=True, slots=True)
class FaultSettings:
    """What happens to packets; each a share of them, 0 to 1.

    Attributes
    ----------
    drop
        Never sent.
    duplicate
        Sent a second time, 1 to ``span`` packets later.
    delay
        Sent 1 to ``span`` packets later.
    reorder
        Sent behind the next packet.
    corrupt
        Damaged so that nobody can decode it; a second copy of it is sound.
    schema_mix
        Written again under another version of the survey's schema (:mod:`broker_plugin.archive.versions`).
    span : int
        In packets.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    schema_mix: float = 0.0
    span: int = DEFAULT_SPAN

    def __post_init__(self) -> None:
        for kind in KINDS:
            share = getattr(self, kind)
            if not 0.0 <= share <= 1.0:
                msg = f"fault {kind.replace('_', '-')} = {share}; expected a share of the packets, 0 to 1"
                raise ConfigurationError(msg)
        if self.span < 1:
            msg = f"fault span = {self.span}; expected one packet or more"
            raise ConfigurationError(msg)

    @property
    def any(self) -> bool:
        """Return whether anything happens at all."""
        return any(getattr(self, kind) for kind in KINDS)


KINDS = tuple(each.name for each in fields(FaultSettings) if each.name != "span")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened to one packet.

    Attributes
    ----------
    number : int
        Of the packet in the archive's order, from 0.
    packet : str
        Its name.
    kind : str
        One of :data:`KINDS`.
    detail : str
        How far it was moved, how it was damaged, or the version.
    """

    number: int
    packet: str
    kind: str
    detail: str = ""


@dataclass(slots=True)
class FaultReport:
    """What happened, in all.

    Attributes
    ----------
    read, sent : int
        Packets.
    counts : Counter of str
        Packets by kind of fault.
    """

    read: int = 0
    sent: int = 0
    counts: Counter[str] = field(default_factory=Counter)


def with_faults(
    packets: Iterable[Packet],
    settings: FaultSettings,
    seed: int,
    *,
    report: FaultReport | None = None,
    on_fault: Callable[[Fault], None] = lambda _: None,
) -> Iterator[Packet]:
    """Yield the packets as an unlucky network would.

    Parameters
    ----------
    packets : iterable of Packet
    settings : FaultSettings
    seed : int
        Decides everything that is left to chance.
    report : FaultReport, optional
        Counted up while packets are taken.
    on_fault : callable, optional
        Told each fault, in the order of the archive.
    """
    report = FaultReport() if report is None else report
    dice = {kind: np.random.default_rng([seed, number]) for number, kind in enumerate(KINDS)}
    damage, mixer = _Damage(), SchemaMixer()
    waiting: list[tuple[int, int, Packet]] = []  # due behind that packet, order of arrival

    def hit(kind: str) -> bool:
        return bool(dice[kind].random() < getattr(settings, kind))

    number = -1
    for number, original in enumerate(packets):
        report.read += 1

        def tell(kind: str, detail: str = "", number: int = number, name: str = original.name) -> None:
            report.counts[kind] += 1
            on_fault(Fault(number, name, kind, detail))

        hits = {kind for kind in KINDS if hit(kind)}
        if "drop" in hits:
            tell("drop")
        else:
            packet = original
            if "schema_mix" in hits:
                rewritten = mixer.rewrite(packet.payload, dice["schema_mix"])
                if rewritten is not None:
                    packet = Packet(packet.name, packet.source, rewritten[0])
                    tell("schema_mix", rewritten[1])
            if "duplicate" in hits:
                by = int(dice["duplicate"].integers(1, settings.span + 1))
                heapq.heappush(waiting, (number + by, 2 * number + 1, packet))
                tell("duplicate", f"again {by} later")
            if "corrupt" in hits:
                payload, how = damage.done_to(packet.payload, dice["corrupt"])
                packet = Packet(packet.name, packet.source, payload)
                tell("corrupt", how)
            by = 0
            if "delay" in hits:
                by = int(dice["delay"].integers(1, settings.span + 1))
                tell("delay", f"{by} later")
            elif "reorder" in hits:
                by = 1
                tell("reorder", "behind the next")
            # A packet that nothing moves goes before those that have waited for its turn.
            heapq.heappush(waiting, (number + by, 2 * number if by else -1, packet))
        while waiting and waiting[0][0] <= number:
            report.sent += 1
            yield heapq.heappop(waiting)[2]
    while waiting:
        report.sent += 1
        yield heapq.heappop(waiting)[2]


class _Damage:
    """Ways to break a packet that no reader survives."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def done_to(self, payload: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
        """Return damaged bytes, and what was done."""
        ways = (self._cut, self._scribbled, self._headless)
        damaged, how = ways[int(rng.integers(len(ways)))](payload, rng)
        # Flipped bits in a stamp hurt nobody: what can still be read is made unreadable.
        if not any(isinstance(entry, Malformed) for entry in self._decoder.decode(damaged)):
            damaged, how = self._headless(payload, rng)
        return damaged, how

    @staticmethod
    def _cut(payload: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
        length = int(rng.integers(0, max(len(payload), 1)))
        return payload[:length], f"cut after {length} of {len(payload)} bytes"

    @staticmethod
    def _scribbled(payload: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
        size = min(64, len(payload))
        start = int(rng.integers(0, len(payload) - size + 1))
        noise = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        return payload[:start] + noise + payload[start + size :], f"{size} bytes of noise at {start}"

    @staticmethod
    def _headless(payload: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
        first = int(rng.integers(1, 256))  # a zero byte would be the registry's frame
        return bytes([first]) + b"\xff\xff\xff" + payload[4:], "another first word"
