"""Trigonometric sums of a light curve at all frequencies of a grid: the non-uniform FFT.

FINUFFT (Barnett, Magland & af Klinteberg 2019, SIAM J. Sci. Comput. 41, C479) makes a plan before it sums; on
a light curve of some hundred epochs the plan takes as long as the sums. A plan depends on the size of the
grid only, so grids are padded to one of a few sizes, and plans are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

ComplexArray = npt.NDArray[np.complex128]

_RELATIVE_ERROR = 1e-6
# Half as large Fourier transforms as with 2, the other factor that FINUFFT has; the error asked for is kept.
_UPSAMPLING = 1.25
_OCTAVE = (64, 70, 76, 83, 91, 99, 108, 118)
"""Padded sizes within a factor of two, in units of a power of two: each a twelfth above the one before."""

_KEPT_POINTS = 4_000_000  # of all plans of a thread together: 24 bytes each


class _Plans(threading.local):
    """Plans by size, the last used last. A plan holds what it works on: each thread has its own."""

    def __init__(self) -> None:
        self.by_size: OrderedDict[int, Any] = OrderedDict()

    def of(self, size: int) -> Any:
        plan = self.by_size.get(size)
        if plan is None:
            import finufft  # here: only who searches periods should wait for it

            # One thread: the same sums in the same order, whatever the machine.
            plan = finufft.Plan(
                1,
                (size,),
                eps=_RELATIVE_ERROR,
                isign=1,
                upsampfac=_UPSAMPLING,
                nthreads=1,
                dtype="complex128",
            )
            self.by_size[size] = plan
        self.by_size.move_to_end(size)
        while len(self.by_size) > 1 and sum(self.by_size) > _KEPT_POINTS:
            self.by_size.popitem(last=False)
        return plan


_plans = _Plans()


def padded_size(size: int) -> int:
    """Return the size of the plan that sums a grid of this size: even, at most a tenth more from 64 on."""
    power = max(1, size.bit_length() - 7)
    while True:
        for factor in _OCTAVE:
            if factor << power >= size:
                return factor << power
        power += 1


def trigonometric_sums(
    time_days: FloatArray, strengths: FloatArray, first: float, step: float, size: int
) -> ComplexArray:
    """Return the sums over the epochs of ``strength * exp(2 pi i f time)``.

    Parameters
    ----------
    time_days : ndarray, shape (n,), float64
    strengths : ndarray, shape (n,), float64
    first, step : float
        The frequencies are ``first * step``, ``(first + 1) * step``, ... cycles per day.
    size : int
        How many.

    Returns
    -------
    ndarray, shape (size,), complex128
        With an error of about 1e-6 of the sum of the absolute strengths.
    """
    padded = padded_size(size)
    plan = _plans.of(padded)
    cycles = step * time_days
    plan.setpts(2.0 * np.pi * (cycles % 1.0))
    # The transform is of orders -padded/2, ..., so a phase brings them to first, first + 1, ...
    phase = (padded // 2 + first) * cycles % 1.0
    sums: ComplexArray = plan.execute(strengths * np.exp(2j * np.pi * phase))[:size]
    return sums
