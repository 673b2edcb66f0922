"""Fourier series fitted to folded light curves, several of them from the same sums.

The normal equations of a least-squares fit in harmonics hold nothing but sums of ``exp(2 pi i k t / P)``:
``cos a cos b = (cos(a - b) + cos(a + b)) / 2``. Series at twice the period, at the period and at half of it
share these sums, so they are taken once, whatever number of series is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

ComplexArray = npt.NDArray[np.complex128]

_RIDGE = 1.0  # as if one epoch in 200 said that each coefficient is zero
_HIGHEST = 12  # in cycles per two periods: six harmonics of the period, three of its half
_AT_ONCE = 32  # windows whose powers stay in the processor's cache


@dataclass(frozen=True, slots=True)
class HarmonicSums:
    """What every series of ``n`` windows is fitted from.

    Attributes
    ----------
    turns : ndarray, shape (n, 25), complex128
        Sums of ``exp(2 pi i k t / 2 P)`` over the epochs, for k from 0.
    moments : ndarray, shape (n, 13), complex128
        The same times the values.
    squares : ndarray, shape (n,), float64
        Sums of the squared values.
    """

    turns: ComplexArray
    moments: ComplexArray
    squares: FloatArray

    @classmethod
    def of(cls, times: FloatArray, values: FloatArray, periods: FloatArray) -> HarmonicSums:
        """Take the sums of windows of times and values, each (n, L), at periods (n,)."""
        n, length = times.shape
        turns = np.empty((n, 2 * _HIGHEST + 1), dtype=np.complex128)
        moments = np.empty((n, _HIGHEST + 1), dtype=np.complex128)
        doubled = 2.0 * periods[:, None]
        memory = np.empty((min(n, _AT_ONCE), _HIGHEST + 1, length), dtype=np.complex128)
        for start in range(0, n, _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            angle = (2.0 * np.pi) * np.mod(times[some] / doubled[some], 1.0)
            powers = memory[: len(angle)]
            powers[:, 0] = 1.0
            powers.real[:, 1], powers.imag[:, 1] = np.cos(angle), np.sin(angle)
            known = 1
            while known < _HIGHEST:  # by doubling: 12 powers from four products
                new = min(known, _HIGHEST - known)
                factor = powers[:, known : known + 1]
                np.multiply(powers[:, 1 : new + 1], factor, out=powers[:, known + 1 : known + new + 1])
                known += new
            powers.sum(axis=2, out=turns[some, : _HIGHEST + 1])
            turns[some, _HIGHEST + 1 :] = (powers[:, 1:] @ powers[:, _HIGHEST, :, None])[:, :, 0]
            moments[some] = (powers @ values[some, :, None])[:, :, 0]
        return cls(turns, moments, np.sum(values**2, axis=1))

    def series(self, n_harmonics: int, *, cycles: int = 2) -> Series:
        """Return the series of so many harmonics.

        Parameters
        ----------
        n_harmonics : int
        cycles : {1, 2, 4}
            Of the first harmonic in two periods: 2 is a series at the period, 1 one at twice the period.
        """
        return Series(*self._equations(n_harmonics, cycles=cycles), self.squares)

    def _equations(self, n_harmonics: int, *, cycles: int) -> tuple[FloatArray, FloatArray]:
        """Return the normal matrix with its ridge, (n, 2 H + 1, 2 H + 1), and the right side, (n, 2 H + 1).

        Columns: 1, cos, sin, cos 2, sin 2, ...
        """
        places = _places(n_harmonics, cycles)
        parts = self.turns.view(np.float64)
        square = parts.take(places.together, axis=1)
        square *= places.sign_together
        of_differences = parts.take(places.apart, axis=1)
        of_differences *= places.sign_apart
        square += of_differences
        square *= 0.5
        square.reshape(len(square), -1)[:, :: len(places.together) + 1] += _RIDGE
        return square, self.moments.view(np.float64).take(places.moments, axis=1)


@dataclass(frozen=True, slots=True)
class Series:
    """The normal equations of a series of H harmonics; see :class:`HarmonicSums`."""

    normal: FloatArray
    moments: FloatArray
    squares: FloatArray

    def amplitudes(self) -> ComplexArray:
        """Return the amplitudes, shape (n, H): the curve is the sum of Re(a[k] exp(2 pi i (k + 1) t / P))."""
        coefficients = np.linalg.solve(self.normal, self.moments[:, :, None])[:, 1:, 0]
        return np.asarray(coefficients[:, 0::2] - 1j * coefficients[:, 1::2])

    def explained(self) -> FloatArray:
        """Return the part of the squares that the first 1, 2, ... H harmonics explain, shape (n, H)."""
        # Factored with the moments as a last row, that row becomes the projections on the columns made
        # orthogonal in their order: the partial sums of their squares are the shorter series' fits.
        size = self.moments.shape[1]
        bordered = np.empty((len(self.normal), size + 1, size + 1))
        bordered[:, :size, :size] = self.normal
        bordered[:, size, :size] = bordered[:, :size, size] = self.moments
        bordered[:, size, size] = self.squares + 1.0
        projected = np.linalg.cholesky(bordered)[:, size, :size]
        return np.asarray(np.cumsum(projected**2, axis=1)[:, 2::2] / self.squares[:, None])


class _Places(NamedTuple):
    """Where the real and imaginary parts lie of which a series' normal equations are made.

    An element is ``(sign_together * turns[together] + sign_apart * turns[apart]) / 2``, the numbers counting
    real and imaginary parts in turn.
    """

    together: npt.NDArray[np.intp]
    sign_together: FloatArray
    apart: npt.NDArray[np.intp]
    sign_apart: FloatArray
    moments: npt.NDArray[np.intp]


@cache
def _places(n_harmonics: int, cycles: int) -> _Places:
    column = np.delete(np.arange(2 * n_harmonics + 2), 1)  # cos 0, cos 1, sin 1, ...: there is no sin 0
    harmonic, is_sine = cycles * (column // 2), column % 2 == 1
    difference = harmonic[:, None] - harmonic
    # 2 cos a cos b = cos(a - b) + cos(a + b), 2 sin a sin b = cos(a - b) - cos(a + b),
    # 2 cos a sin b = sin(a + b) - sin(a - b): the sine of a sum that one sine is in, else the cosine.
    mixed = is_sine[:, None] != is_sine
    return _Places(
        together=2 * (harmonic[:, None] + harmonic) + mixed,
        sign_together=np.where(is_sine[:, None] & is_sine, -1.0, 1.0),
        apart=2 * np.abs(difference) + mixed,
        sign_apart=np.where(mixed, np.sign(difference) * np.where(is_sine, -1, 1), 1.0),
        moments=2 * harmonic + is_sine,
    )
