"""A store in a dictionary, and photometry for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from broker_plugin.records.epoch import WITHDRAWN_MAG, EpochArray, Origin, make_epochs


class DictStore(dict[bytes, bytes]):
    """The light curve's store protocol over a dictionary."""

    def put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((key, value) for key, value in self.items() if key.startswith(prefix))


def exposures(slots: list[int], *, spacing_days: float = 0.37, start_mjd: float = 58000.0) -> np.ndarray:
    """Return times of distinct exposures, apart by more than the identity tolerance."""
    return start_mjd + spacing_days * np.asarray(slots, dtype=np.float64)


@st.composite
def packets(draw: st.DrawFn, max_exposures: int = 60) -> list[EpochArray]:
    """Packets over a shared set of exposures: repeats with other last digits, revisions, all origins.

    Some are withdrawn, sources and forced ones, before and after what they withdraw.
    Times wobble by less than half the tolerance, so a value may cross a rounding border but stays with
    its exposure.
    """
    n = draw(st.integers(1, 12))
    made = []
    for version in range(n):
        slots = draw(st.lists(st.integers(0, max_exposures - 1), min_size=1, max_size=15))
        size = len(slots)
        wobble = np.array(draw(st.lists(st.floats(-4e-6, 4e-6), min_size=size, max_size=size)))
        mags = draw(st.lists(st.floats(10, 20, width=32), min_size=size, max_size=size))
        origins = np.array(draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=size, max_size=size)))
        gone = (origins == Origin.WITHDRAWN) | (
            (origins == Origin.FORCED)
            & np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
        )
        made.append(
            make_epochs(
                exposures(slots) + wobble,
                np.where(gone, WITHDRAWN_MAG, mags),
                np.where(gone, WITHDRAWN_MAG, 0.02),
                origin=origins,
                version=version,
            )
        )
    return made


def withdrawal(slots: list[int], version: int = 0) -> EpochArray:
    """Return what takes back the sources of some exposures."""
    gone = np.full(len(slots), WITHDRAWN_MAG)
    return make_epochs(exposures(slots), gone, gone, origin=Origin.WITHDRAWN, version=version)
