"""Give packets out at a pace: so many a second, as their own clocks say, faster, or a visit at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from broker_plugin.archive.packets import Packet
from broker_plugin.archive.times import AlertClock
from broker_plugin.errors import ConfigurationError

_SECONDS_PER_DAY = 86400.0
_SAME_VISIT_SECONDS = 0.5  # alerts of one exposure carry one time; the next exposure is 15 s away at least


def pace(
    packets: Iterable[Packet],
    *,
    rate: float | None = None,
    speed: float | None = None,
    max_gap_seconds: float | None = None,
    visit_interval_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Packet]:
    """Yield the packets unchanged and in order, each not before its time.

    The schedule is counted from the first packet, so that a slow consumer catches up and the pace holds on
    average. Without ``rate`` and ``speed`` nothing is waited for.

    Parameters
    ----------
    packets : iterable of Packet
    rate : float, optional
        Packets per second.
    speed : float, optional
        Times real time, by the alerts' own clocks. A packet without a time, or earlier than one before it,
        is due at once.
    max_gap_seconds : float, optional
        With ``speed``: wait no longer than this between two packets: daylight and cloud are cut short.
        Seconds of the consumer's clock, after the speed-up.
    visit_interval_seconds : float, optional
        All alerts of an exposure at once, one exposure each so many seconds, divided by ``speed``; packets in
        the order of time. One without a time, or of an exposure before, goes along with the burst it is in.
    clock, sleep : callable
        Seconds; injected, so that a test need not wait.

    Raises
    ------
    ConfigurationError
        At the call, when both or a number that is not positive are given.
    """
    if rate is not None and speed is not None:
        msg = f"rate {rate} and speed {speed} are both given; choose one"
        raise ConfigurationError(msg)
    if visit_interval_seconds is not None and (rate is not None or max_gap_seconds is not None):
        msg = "a visit interval is itself the pace: give neither a rate nor a longest gap beside it"
        raise ConfigurationError(msg)
    given = {
        "rate": rate,
        "speed": speed,
        "max_gap_seconds": max_gap_seconds,
        "visit_interval_seconds": visit_interval_seconds,
    }
    for name, value in given.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            msg = f"{name} = {value}; expected a number above zero"
            raise ConfigurationError(msg)
    if rate is not None:
        return _on_schedule(_at_rate(packets, rate), clock, sleep)
    if visit_interval_seconds is not None:
        return _on_schedule(_at_visits(packets, visit_interval_seconds / (speed or 1.0)), clock, sleep)
    if speed is not None:
        return _on_schedule(_at_speed(packets, speed, max_gap_seconds or math.inf), clock, sleep)
    return iter(packets)


def _on_schedule(
    timed: Iterable[tuple[float, Packet]], clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Packet]:
    start: float | None = None
    for due_seconds, packet in timed:
        now = clock()
        start = now if start is None else start
        wait = start + due_seconds - now
        if wait > 0:
            sleep(wait)
        yield packet


def _at_rate(packets: Iterable[Packet], rate: float) -> Iterator[tuple[float, Packet]]:
    for number, packet in enumerate(packets):
        yield number / rate, packet


def _at_speed(
    packets: Iterable[Packet], speed: float, max_gap_seconds: float
) -> Iterator[tuple[float, Packet]]:
    alert_clock = AlertClock()
    due_seconds = 0.0
    latest: float | None = None
    for packet in packets:
        time_mjd = alert_clock.time(packet.payload)
        if time_mjd is not None and (latest is None or time_mjd > latest):
            if latest is not None:
                due_seconds += min((time_mjd - latest) * _SECONDS_PER_DAY / speed, max_gap_seconds)
            latest = time_mjd
        yield due_seconds, packet


def _at_visits(packets: Iterable[Packet], interval_seconds: float) -> Iterator[tuple[float, Packet]]:
    alert_clock = AlertClock()
    visits = 0
    latest: float | None = None
    for packet in packets:
        time_mjd = alert_clock.time(packet.payload)
        if time_mjd is not None:
            if latest is not None and time_mjd - latest > _SAME_VISIT_SECONDS / _SECONDS_PER_DAY:
                visits += 1
            latest = time_mjd if latest is None else max(latest, time_mjd)
        yield visits * interval_seconds, packet
