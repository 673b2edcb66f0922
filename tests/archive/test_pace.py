"""Pacing, on a clock that only moves when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.archive import AlertClock, Packet, iter_packets, pace
from broker_plugin.errors import ConfigurationError
from broker_plugin.simulate import SimulationSettings, simulate


class FakeClock:
    """Time passes by sleeping, and by ``work_seconds`` for each packet that the consumer takes."""

    def __init__(self, work_seconds: float = 0.0) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.work_seconds = work_seconds

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds

    def run(self, packets: Iterator[Packet]) -> list[float]:
        """Return when each packet came, in seconds after the first."""
        arrivals = []
        for _ in packets:
            arrivals.append(self.now)
            self.now += self.work_seconds
        return [arrival - arrivals[0] for arrival in arrivals]


def some(count: int) -> list[Packet]:
    return [Packet(str(number), "memory", b"") for number in range(count)]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    folder = tmp_path_factory.mktemp("nights")
    settings = SimulationSettings(n_objects=6, n_nights=15, seed=3, n_fields=1, out_of_order_fraction=0.3)
    simulate(settings, folder)
    packets = list(iter_packets([folder]))
    return [*packets[:10], Packet("broken", "memory", b"Obj\x01"), *packets[10:]]


def test_without_a_pace_nothing_is_waited_for() -> None:
    clock = FakeClock()
    packets = some(5)
    assert list(pace(packets, clock=clock, sleep=clock.sleep)) == packets
    assert clock.slept == []


@given(st.integers(2, 60), st.floats(0.1, 1e4))
def test_a_rate_is_so_many_a_second(count: int, rate: float) -> None:
    clock = FakeClock()
    arrivals = clock.run(pace(some(count), rate=rate, clock=clock, sleep=clock.sleep))
    assert arrivals == pytest.approx([number / rate for number in range(count)], abs=1e-6)


def test_a_consumer_that_stalls_catches_up() -> None:
    """The pace holds on average: after a stall of 3 s at 2/s, six packets come at once."""
    clock = FakeClock()
    arrivals = []
    for packet in pace(some(12), rate=2.0, clock=clock, sleep=clock.sleep):
        arrivals.append(clock.now - 1000.0)
        if packet.name == "1":
            clock.now += 3.0
    assert arrivals == pytest.approx([0, 0.5, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 4.0, 4.5, 5.0, 5.5])


def test_speed_follows_the_alerts_own_clocks(nights: list[Packet]) -> None:
    """Packets out of order, and one that is broken, come at once; none comes before its time."""
    clock = FakeClock()
    speed = 3600.0
    arrivals = clock.run(pace(nights, speed=speed, clock=clock, sleep=clock.sleep))

    alert_clock = AlertClock()
    times = [alert_clock.time(packet.payload) for packet in nights]
    latest = times[0]
    assert latest is not None
    for arrival, time in zip(arrivals, times, strict=True):
        latest = latest if time is None else max(latest, time)
        assert arrival == pytest.approx((latest - (times[0] or 0.0)) * 86400 / speed, abs=1e-3)
    assert times[10] is None
    assert arrivals[10] == arrivals[9]


def test_gaps_between_nights_can_be_capped(nights: list[Packet]) -> None:
    clock = FakeClock()
    arrivals = clock.run(pace(nights, speed=60.0, max_gap_seconds=5.0, clock=clock, sleep=clock.sleep))
    steps = [after - before for before, after in pairwise(arrivals)]
    assert max(steps) == pytest.approx(5.0)
    assert sum(step == pytest.approx(5.0) for step in steps) >= 3


def test_order_and_packets_are_unchanged(nights: list[Packet]) -> None:
    clock = FakeClock()
    assert list(pace(nights, rate=100.0, clock=clock, sleep=clock.sleep)) == nights
    assert list(pace(nights, speed=1e6, clock=clock, sleep=clock.sleep)) == nights


def test_nothing_is_read_ahead() -> None:
    """An endless input: the pacer takes a packet only when one is asked for."""
    taken = []

    def endless() -> Iterator[Packet]:
        while True:
            taken.append(1)
            yield Packet("x", "memory", b"")

    clock = FakeClock()
    packets = pace(endless(), rate=10.0, clock=clock, sleep=clock.sleep)
    next(packets)
    next(packets)
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("pacing", "message"),
    [
        ({"rate": 1.0, "speed": 2.0}, "choose one"),
        ({"rate": 0.0}, "rate = 0.0; expected a number above zero"),
        ({"speed": -1.0}, "speed = -1.0"),
        ({"speed": float("inf")}, "speed = inf"),
        ({"speed": 1.0, "max_gap_seconds": 0.0}, "max_gap_seconds = 0.0"),
    ],
)
def test_a_pace_that_makes_no_sense_is_refused_at_the_call(pacing: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pace([], **pacing)


def test_the_real_clock_is_the_default() -> None:
    assert len(list(pace(some(3), rate=1000.0))) == 3


def test_a_burst_for_each_visit(nights: list[Packet]) -> None:
    """All alerts of an exposure at once, the next exposure 37 s later, ten times as fast."""
    clock = FakeClock()
    reader = AlertClock()
    in_time = sorted(nights, key=lambda packet: reader.time(packet.payload) or 0.0)
    arrivals = clock.run(
        pace(in_time, visit_interval_seconds=37.0, speed=10.0, clock=clock, sleep=clock.sleep)
    )
    times = [reader.time(packet.payload) for packet in in_time]
    visits = sorted({time for time in times if time is not None})
    assert len(visits) > 3
    for time, arrival in zip(times, arrivals, strict=True):
        if time is not None:
            assert arrival == pytest.approx(visits.index(time) * 3.7)


@pytest.mark.parametrize("wrong", [{"rate": 5.0}, {"max_gap_seconds": 5.0}])
def test_a_visit_interval_is_a_pace_of_its_own(wrong: dict[str, float]) -> None:
    """A rate or a longest gap beside it is an error."""
    with pytest.raises(ConfigurationError, match="visit interval"):
        pace([], visit_interval_seconds=37.0, **wrong)
