"""Trigonometric sums of a light curve at all frequencies of a grid: the non-uniform FFT, block by block.

FINUFFT (Barnett, Magland & af Klinteberg 2019, SIAM J. Sci. Comput. 41, C479) transforms a whole grid of some
hundred thousand frequencies at once; that leaves the processor's cache, and in single precision its phases,
products of order and time, are off by a hundredth of a radian. So the grid is cut into blocks of some
thousand frequencies: the strengths are turned to the middle of each block in double precision, and what is
left to the transform are orders of a thousand at most. A plan serves blocks of all light curves.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.period.harmonics import unit_circle
from broker_plugin.records.epoch import FloatArray

SingleComplexArray = npt.NDArray[np.complex64]

# Frequencies a block. A longer one is cheaper for many epochs, and errors of their phases average out.
_SHORTEST = 1024
_EPOCHS_FOR_LONGER = (100, 500)  # from which a block is twice, and four times, the shortest
_TOGETHER = 131_072  # frequencies of the blocks that one call transforms, at most
_RELATIVE_ERROR = 1e-5  # of the sum of the absolute strengths; phases in single precision give no less
# A fifth less work than with 2, the other factor that FINUFFT has.
_UPSAMPLING = 1.25


class _Plans(threading.local):
    """Plans by size of a block and number of blocks; each thread has its own, a plan is what it works on."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, int], Any] = {}

    def of(self, block: int, count: int) -> Any:
        plan = self.made.get((block, count))
        if plan is None:
            import finufft  # here: only who searches periods should wait for it

            # One thread: the same sums in the same order, whatever the machine.
            plan = finufft.Plan(
                1,
                (block,),
                n_trans=count,
                eps=_RELATIVE_ERROR,
                isign=1,
                upsampfac=_UPSAMPLING,
                nthreads=1,
                dtype="complex64",
            )
            self.made[block, count] = plan
        return plan


_plans = _Plans()


def trigonometric_sums(
    time_days: FloatArray, strengths: FloatArray, first: int, step: float, size: int
) -> SingleComplexArray:
    """Return the sums over the epochs of ``strength * exp(2 pi i f time)``.

    Parameters
    ----------
    time_days : ndarray, shape (n,), float64
    strengths : ndarray, shape (n_sets, n), float64
    first : int
    step : float
        The frequencies are ``first * step``, ``(first + 1) * step``, ... cycles per day.
    size : int
        How many.

    Returns
    -------
    ndarray, shape (n_sets, size), complex64
        With errors of about 1e-5 of the sum of the absolute strengths, 1e-4 at most.
    """
    block = _SHORTEST << sum(len(time_days) >= least for least in _EPOCHS_FOR_LONGER)
    # The first block has the lowest frequency in its middle, where errors are least and sums are largest.
    n_blocks = -(-(size + block // 2) // block)
    rounds = -(-n_blocks * block // _TOGETHER)
    together = -(-n_blocks // rounds)
    plan = _plans.of(block, together)
    plan.setpts((2.0 * np.pi * (step * time_days % 1.0)).astype(np.float32))
    # Cosines cost more than all that is made of them: those of a block are a product of two.
    middles = first + together * block * np.arange(rounds)
    of_rounds = unit_circle(time_days, np.float64(step) * middles)
    of_blocks = unit_circle(time_days, np.float64(step) * (block * np.arange(together)))
    sums = np.empty((len(strengths), rounds, together, block), np.complex64)
    for part, one in enumerate(of_rounds):
        turned = (one * of_blocks)[None] * strengths[:, None]
        for out, source in zip(sums[:, part], turned.astype(np.complex64), strict=True):
            plan.execute(source, out=out if together > 1 else out[0])
    return sums.reshape(len(strengths), -1)[:, block // 2 : block // 2 + size]
