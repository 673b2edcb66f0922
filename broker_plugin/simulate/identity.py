"""Names, numbers and places: unique, seeded, in the form that each survey uses."""

from __future__ import annotations

import numpy as np

from broker_plugin.photometry.times import MJD_ZERO_JD

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ZTF_NIGHT_ZERO_JD = 2457754.5  # nid 0 of ZTF's packets: 2017-01-01


def ztf_object_id(number: int, year: int) -> str:
    """Return a name like ``ZTF23abcdefg`` from a number below 26^7."""
    letters = []
    for _ in range(7):
        number, digit = divmod(number, 26)
        letters.append(_LETTERS[digit])
    return f"ZTF{year % 100:02d}{''.join(reversed(letters))}"


def draw_distinct(rng: np.random.Generator, count: int, below: int) -> list[int]:
    """Return distinct random numbers in [0, below), in the order drawn."""
    seen: dict[int, None] = {}
    while len(seen) < count:
        seen.setdefault(int(rng.integers(0, below)))
    return list(seen)


def ztf_night_id(start_mjd_utc: float) -> int:
    """Return ``nid``."""
    return int(np.floor(start_mjd_utc + MJD_ZERO_JD - _ZTF_NIGHT_ZERO_JD))


def ztf_pid(start_mjd_utc: float, readout_channel: int) -> int:
    """Return the id of a processed image: night, fraction of the day, channel, product; never negative."""
    since = start_mjd_utc + MJD_ZERO_JD - _ZTF_NIGHT_ZERO_JD
    night, fraction = divmod(since, 1.0)
    # Light curves older than ZTF get nights from 9000 downwards; more than 9223 would not fit 64 bits.
    return int(night) % 9000 * 10**9 + int(fraction * 1e5) * 10**4 + readout_channel * 100 + 15


def ztf_candid(pid: int, *, positive: bool, index: int) -> int:
    """Return the id of a candidate: image, sign of the difference, running number below 1000."""
    return pid * 10**6 + (15 if positive else 10) * 10**3 + index


def lsst_visit(start_mjd_utc: float, date_number: int) -> int:
    """Return a visit id: the date as YYYYMMDD and five digits that rise through the night."""
    return date_number * 10**5 + int(start_mjd_utc % 1.0 * 1e5)


def lsst_source_id(visit: int, detector: int, index: int) -> int:
    """Return a source id of 63 bits: visit, detector, running number below 2^14."""
    return (visit << 22) | (detector << 14) | index
