"""Misfortunes on demand: what each does, that a seed decides all of it, that light curves survive them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.archive import Fault, FaultReport, FaultSettings, Packet, iter_packets, with_faults
from broker_plugin.archive.faults import KINDS
from broker_plugin.decode import Alert, Decoder, Malformed
from broker_plugin.errors import ConfigurationError
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.runner.protocols import Message, Output
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.simulate import SimulationSettings, simulate
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.ingest import IngestStage
from tests.shared import shared_path


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    """Simulate a month of a few ZTF stars, each packet with its history."""
    folder = tmp_path_factory.mktemp("nights")
    simulate(SimulationSettings(n_objects=4, n_nights=30, seed=3, n_fields=1, duplicate_fraction=0.0), folder)
    return list(iter_packets([folder]))


@pytest.fixture(scope="module")
def lsst_nights(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    folder = tmp_path_factory.mktemp("lsst")
    simulate(
        SimulationSettings(n_objects=5, n_nights=40, seed=3, n_fields=1, survey="lsst", bands=("r",)), folder
    )
    return list(iter_packets([folder]))


def run(
    packets: list[Packet], seed: int = 1, **shares: float
) -> tuple[list[Packet], FaultReport, list[Fault]]:
    report, told = FaultReport(), []
    done = with_faults(packets, FaultSettings(**shares), seed, report=report, on_fault=told.append)
    return list(done), report, told


def state_after(packets: list[Packet]) -> tuple[dict[bytes, bytes | None], Counter[str]]:
    """Return the light curves after the packets went through ingest and accumulate, and the dead letters."""
    ingest = IngestStage(["alerts"], "t")
    messages = [Message("alerts", 0, n, None, packet.payload) for n, packet in enumerate(packets)]
    nothing = BatchState(CommittedState({}))
    outputs: list[Output] = list(ingest.step(messages, nothing).outputs)
    letters = Counter(output.topic for output in outputs if output.topic == "t.dead-letters")
    photometry = [o for o in outputs if o.topic == "t.photometry"]
    state = BatchState(CommittedState({0: MemoryStore()}))
    records = [Message(o.topic, 0, n, o.key, o.value) for n, o in enumerate(photometry)]
    AccumulateStage("t", WindowSettings()).step(records, state)
    return {k: v for k, v in state.changes.get(0, {}).items() if k.startswith(b"c/")}, letters


def test_nothing_happens_without_faults(nights: list[Packet]) -> None:
    done, report, told = run(nights)
    assert done == nights
    assert (report.read, report.sent, told) == (len(nights), len(nights), [])


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**31),
    duplicate=st.floats(0, 1),
    delay=st.floats(0, 1),
    reorder=st.floats(0, 1),
    span=st.integers(1, 400),
)
def test_light_curves_survive(
    nights: list[Packet], seed: int, duplicate: float, delay: float, reorder: float, span: int
) -> None:
    """Duplicates, delays, changes of place, in any mixture: every chunk of state is the same to the byte."""
    clean, _ = state_after(nights)
    done, report, _ = run(nights, seed, duplicate=duplicate, delay=delay, reorder=reorder, span=span)
    assert report.sent == len(done) == len(nights) + report.counts["duplicate"]
    assert set(done) == set(nights)
    assert state_after(done) == (clean, Counter())
    assert clean


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), corrupt=st.floats(0, 1), duplicate=st.floats(0, 1), drop=st.floats(0, 0.5))
def test_dead_letters_are_the_corrupted_packets(
    nights: list[Packet], seed: int, corrupt: float, duplicate: float, drop: float
) -> None:
    """Every damaged packet is one dead letter, and nothing else is."""
    done, report, told = run(nights, seed, corrupt=corrupt, duplicate=duplicate, drop=drop)
    _, letters = state_after(done)
    assert letters["t.dead-letters"] == report.counts["corrupt"]
    assert Counter(fault.kind for fault in told) == report.counts
    assert report.sent == report.read - report.counts["drop"] + report.counts["duplicate"]


def test_real_packets_of_zwicky_and_rubin() -> None:
    """Damage that nobody reads through, in packets with stamps, too."""
    packets = list(iter_packets([shared_path("alerts/ztf"), shared_path("alerts/lsst")]))
    done, report, _ = run(packets, corrupt=1.0)
    decoder = Decoder()
    assert report.counts["corrupt"] == len(packets) > 30
    assert all(isinstance(entry, Malformed) for packet in done for entry in decoder.decode(packet.payload))


@pytest.mark.parametrize("kinds", [KINDS, ("corrupt",), ("schema_mix",)])
def test_a_seed_decides_every_byte(
    nights: list[Packet], lsst_nights: list[Packet], kinds: tuple[str, ...]
) -> None:
    """The same seed, the same stream; another one, another."""
    packets = [*nights, *lsst_nights]
    shares = dict.fromkeys(kinds, 0.3)
    first, again, other = run(packets, 5, **shares), run(packets, 5, **shares), run(packets, 6, **shares)
    assert first == again
    assert first[0] != other[0]


def test_one_kind_does_not_change_another(nights: list[Packet]) -> None:
    """The packets that are dropped are the same with and without delays."""
    _, _, alone = run(nights, drop=0.2)
    _, _, together = run(nights, drop=0.2, delay=0.5, corrupt=0.5)
    assert alone == [fault for fault in together if fault.kind == "drop"]
    assert alone


def test_how_far_things_move(nights: list[Packet]) -> None:
    """Delays and copies stay within the span; a packet that changes place follows the next one."""
    done, _, told = run(nights, delay=0.3, span=20)
    place = {packet.name: n for n, packet in enumerate(done)}
    moved = {fault.number for fault in told}
    assert 0 < len(moved) < len(nights)
    late = [place[packet.name] - n for n, packet in enumerate(nights) if n in moved]
    assert max(late) <= 20
    assert all(
        place[a.name] < place[b.name] for a, b in pairwise(p for n, p in enumerate(nights) if n not in moved)
    )
    swapped, _, told = run(nights, reorder=0.1)
    first = next(fault.number for fault in told)
    assert swapped.index(nights[first]) == first + 1


def test_other_versions_say_the_same(nights: list[Packet], lsst_nights: list[Packet]) -> None:
    """LSST: equal light curves whatever the version and the frame. ZTF 3.3: all but the forced photometry."""
    done, report, told = run(lsst_nights, schema_mix=1.0)
    assert report.counts["schema_mix"] == len(lsst_nights)
    assert len({fault.detail for fault in told}) >= 6
    assert state_after(done) == state_after(lsst_nights)
    decoder = Decoder()
    done, _, told = run(nights, schema_mix=1.0)
    assert {fault.detail for fault in told} == {"3.3", "unversioned", "deflate"}
    for packet, original, fault in zip(done, nights, told, strict=True):
        (now,), (before,) = decoder.decode(packet.payload), decoder.decode(original.payload)
        assert isinstance(now, Alert)
        assert isinstance(before, Alert)
        assert now.sources.tobytes() == before.sources.tobytes()
        assert now.schema_version == {"deflate": before.schema_version}.get(fault.detail, fault.detail)


@pytest.mark.parametrize("wrong", [{"drop": 1.5}, {"delay": -0.1}, {"span": 0}, {"corrupt": float("nan")}])
def test_shares_that_are_none(wrong: dict[str, float]) -> None:
    """An error that names the fault."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        FaultSettings(**wrong)


def test_packets_are_not_all_held(nights: list[Packet]) -> None:
    """A stream without end: what waits is bounded by the span."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            for packet in nights:
                taken += 1
                yield packet

    stream = with_faults(endless(), FaultSettings(duplicate=1.0, delay=1.0, span=50), 1)
    for _ in range(1000):
        next(stream)
    assert taken < 600


def test_the_record_on_disk(tmp_path: Path) -> None:
    """One line a fault and the sums last: see tests/cli/test_replay.py for the command."""
    from broker_plugin.cli.fault_options import FaultPlan

    plan = FaultPlan(FaultSettings(drop=1.0), 3, tmp_path / "deep" / "faults.jsonl")
    with plan.applied([Packet("a", "b", b"c")]) as (packets, report):
        assert list(packets) == []
    lines = plan.record.read_text().splitlines()
    assert len(lines) == 2
    assert '"counts": {"drop": 1}' in lines[-1]
    assert report.counts["drop"] == 1
