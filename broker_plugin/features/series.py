"""Fourier series fitted to folded light curves, several of them from the same sums.

The normal equations of a least-squares fit in harmonics hold nothing but sums of ``exp(2 pi i k t / P)``:
``cos a cos b = (cos(a - b) + cos(a + b)) / 2``. Series at twice the period, at the period and at half of it
share these sums, so they are taken once, whatever number of series is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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
        for start in range(0, n, _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            angle = (2.0 * np.pi) * np.mod(times[some] / doubled[some], 1.0)
            powers = np.empty((len(angle), _HIGHEST + 1, length), dtype=np.complex128)
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
        together, apart, signs, kept = _places(n_harmonics, cycles)
        n, size = len(self.turns), 2 * n_harmonics + 2
        sums, differences = self.turns[:, together], self.turns[:, apart]
        normal = np.empty((n, n_harmonics + 1, 2, n_harmonics + 1, 2))
        normal[:, :, 0, :, 0] = differences.real + sums.real
        normal[:, :, 1, :, 1] = differences.real - sums.real
        crossed = sums.imag - signs * differences.imag  # 2 cos a sin b = sin(a + b) - sin(a - b)
        normal[:, :, 0, :, 1] = crossed
        normal[:, :, 1, :, 0] = crossed.transpose(0, 2, 1)
        square = 0.5 * normal.reshape(n, size, size)[:, kept[:, None], kept]
        diagonal = np.arange(size - 1)
        square[:, diagonal, diagonal] += _RIDGE
        chosen = np.ascontiguousarray(self.moments[:, : n_harmonics * cycles + 1 : cycles])
        return square, chosen.view(np.float64)[:, kept]


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


@cache
def _places(n_harmonics: int, cycles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where sums and differences of harmonics lie, the differences' signs, the columns but sin 0."""
    harmonic = cycles * np.arange(n_harmonics + 1)
    apart = harmonic[:, None] - harmonic
    columns = np.delete(np.arange(2 * n_harmonics + 2), 1)
    return harmonic[:, None] + harmonic, np.abs(apart), np.sign(apart), columns
