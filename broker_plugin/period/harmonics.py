"""Multi-harmonic least-squares fits of one light curve at many trial frequencies at once.

The normal equations of a weighted Fourier series need only the trigonometric
sums of the weights (orders 0 to 2H) and of the weighted magnitudes (0 to H):
computed as powers of one complex exponential they cost about one multiplication
a sample and order. The columns are a constant and the harmonics in their order, so
that one Cholesky factor gives the residuals of all series of 1 to H harmonics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

ComplexArray = npt.NDArray[np.complex128]

_AROUND: ComplexArray = np.exp(2j * np.pi * np.arange(1024) / 1024)
_RIDGE = 1e-9  # of the largest diagonal element; keeps the factor positive when phases leave gaps


@dataclass(frozen=True, slots=True)
class HarmonicFits:
    """Fourier series fitted at many frequencies.

    Attributes
    ----------
    residual : ndarray, shape (n_frequencies, H), float64
        Residual variance of the series with 1..H harmonics, in units of the variance about the mean.
    normal : ndarray, shape (n_frequencies, 2 H + 1, 2 H + 1), float64
    moments : ndarray, shape (n_frequencies, 2 H + 1), float64
        The normal equations of the series with H harmonics; columns 1, cos 1, sin 1, cos 2, ...
    """

    residual: FloatArray
    normal: FloatArray
    moments: FloatArray

    def coefficients(self, row: int) -> FloatArray:
        """Return those of the series with H harmonics at one of the frequencies.

        Cosine and sine of the first, of the second, ...; shape (2 H,), float64.
        """
        solved = np.linalg.solve(self.normal[row], self.moments[row])[1:]
        return np.asarray(solved, dtype=np.float64)


def unit_circle(time_days: FloatArray, frequencies: FloatArray) -> ComplexArray:
    """Return ``exp(2 pi i f t)``, one row a frequency (cycles per day).

    numpy's cosine and sine would take longer than all that is made of them. So the angle is one of a table's
    and a rest of at most 0.0031, the next terms of whose series are below the last digit.
    """
    rest = frequencies[:, None] * time_days
    rest *= len(_AROUND)
    nearest = np.rint(rest)
    rest -= nearest
    rest *= 2.0 * np.pi / len(_AROUND)
    square = rest * rest
    circle = np.empty(rest.shape, dtype=np.complex128)
    circle.real = 1.0 - square * (1.0 / 2.0 - square * (1.0 / 24.0))
    circle.imag = rest * (1.0 - square * (1.0 / 6.0 - square * (1.0 / 120.0)))
    circle *= _AROUND[nearest.astype(np.int64) % len(_AROUND)]
    return circle


def fit_harmonics(
    time_days: FloatArray, values: FloatArray, weights: FloatArray, frequencies: FloatArray, n_harmonics: int
) -> HarmonicFits:
    """Fit a floating mean and a Fourier series at each frequency.

    Parameters
    ----------
    time_days : ndarray, shape (n,), float64
        Times from an epoch near the data, days.
    values : ndarray, shape (n,), float64
        Standardised: weighted mean 0, weighted variance 1.
    weights : ndarray, shape (n,), float64
        Sum one.
    frequencies : ndarray, shape (n_frequencies,), float64
        Cycles per day.
    n_harmonics : int

    Returns
    -------
    HarmonicFits
    """
    return fit_on_circle(unit_circle(time_days, frequencies), values, weights, n_harmonics)


def fit_on_circle(
    circle: ComplexArray, values: FloatArray, weights: FloatArray, n_harmonics: int
) -> HarmonicFits:
    """Do what :func:`fit_harmonics` does, given the :func:`unit_circle` of its times and frequencies."""
    return fit_sums(SeriesSums.of(circle, values, weights, n_harmonics))


@dataclass(frozen=True, slots=True)
class SeriesSums:
    """What the series of up to H harmonics are fitted from.

    Attributes
    ----------
    weight : ndarray, shape (..., 2 H + 1), complex128
        Sums of ``w exp(i k phi)``, k from 0.
    value : ndarray, shape (..., H + 1), complex128
        Sums of ``w y exp(i k phi)``.
    """

    weight: ComplexArray
    value: ComplexArray

    @classmethod
    def of(
        cls, circle: ComplexArray, values: FloatArray, weights: FloatArray, n_harmonics: int
    ) -> SeriesSums:
        """Take the sums at the frequencies of a :func:`unit_circle`, shape (n_frequencies, n)."""
        powers = np.empty((len(circle), 2 * n_harmonics, circle.shape[1]), dtype=np.complex128)
        powers[:, 0] = circle
        known = 1
        while known < 2 * n_harmonics:  # by doubling: twelve powers from four products
            new = min(known, 2 * n_harmonics - known)
            np.multiply(powers[:, :new], powers[:, known - 1 : known], out=powers[:, known : known + new])
            known += new
        weight_sums = np.ones((len(circle), 2 * n_harmonics + 1), dtype=np.complex128)
        value_sums = np.zeros((len(circle), n_harmonics + 1), dtype=np.complex128)
        weight_sums[:, 1:] = np.vecdot(powers, weights.astype(np.complex128))
        value_sums[:, 1:] = np.vecdot(powers[:, :n_harmonics], (weights * values).astype(np.complex128))
        return cls(weight_sums.conj(), value_sums.conj())  # vecdot conjugates its first argument

    @classmethod
    def near(
        cls,
        circle: ComplexArray,
        offsets: ComplexArray,
        values: FloatArray,
        weights: FloatArray,
        n_harmonics: int,
    ) -> SeriesSums:
        """Take the sums at each frequency plus each offset, of the unit circles of either.

        Cosines, and powers of them, cost more than sums: those of a frequency serve all its offsets.
        Shapes (n_frequencies, n) and (n_offsets, n) make sums of (n_frequencies, n_offsets, ...).
        """
        shape = (len(circle), len(offsets))
        weighted = weights * values
        power, turn = circle.copy(), offsets.conj()
        turn_once = turn.copy()
        weight_sums = np.ones((*shape, 2 * n_harmonics + 1), dtype=np.complex128)
        value_sums = np.zeros((*shape, n_harmonics + 1), dtype=np.complex128)
        for order in range(1, 2 * n_harmonics + 1):
            if order > 1:
                power *= circle
                turn *= turn_once
            # Dot products of rows: a matrix product would wake the BLAS's threads, which fight for cores.
            weight_sums[..., order] = np.vecdot(power[:, None], turn * weights)
            if order <= n_harmonics:
                value_sums[..., order] = np.vecdot(power[:, None], turn * weighted)
        return cls(weight_sums.conj(), value_sums.conj())


def fit_sums(sums: SeriesSums) -> HarmonicFits:
    """Fit the series of which these are the sums, whatever the shape of the frequencies, as if in a row."""
    n_harmonics = sums.value.shape[-1] - 1
    size = 2 * n_harmonics + 1
    of_weights = 0.5 * sums.weight.reshape(-1, size).view(np.float64)
    of_values = 0.5 * sums.value.reshape(-1, n_harmonics + 1).view(np.float64)
    one = np.ones((len(of_weights), 1))
    parts = np.concatenate([of_weights, -of_weights, of_values, one], axis=1)
    # Factored with the moments as a last row, that row becomes the projections on the columns made orthogonal
    # in their order: partial sums of their squares are the fits of the shorter series.
    first, second = _places(n_harmonics)
    bordered = parts[:, first]
    bordered += parts[:, second]
    harmonic = np.arange(1, size)
    bordered[:, harmonic, harmonic] += _RIDGE
    projected = np.linalg.cholesky(bordered)[:, size, 1:size]
    explained = np.cumsum(projected**2, axis=1)[:, 1::2]
    residual = np.clip(1.0 - explained, 1e-9, 1.0)
    return HarmonicFits(residual, bordered[:, :size, :size], bordered[:, size, :size])


@cache
def _places(n_harmonics: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return which two parts the bordered normal matrix is the sum of, shape (2 H + 2, 2 H + 2) each.

    The parts are halves: of the sums of weights (real and imaginary in turn), of the same with the other
    sign, and of the sums of values; then a one.
    """
    column = np.delete(np.arange(2 * n_harmonics + 2), 1)  # cos 0, cos 1, sin 1, ...: there is no sin 0
    harmonic, is_sine = column // 2, column % 2 == 1
    difference = harmonic[:, None] - harmonic
    # 2 cos a cos b = cos(a - b) + cos(a + b), 2 sin a sin b = cos(a - b) - cos(a + b),
    # 2 cos a sin b = sin(a + b) - sin(a - b).
    mixed = is_sine[:, None] != is_sine
    negative = 2 * (2 * n_harmonics + 1)
    minus = mixed & (np.where(is_sine, -difference, difference) < 0)
    first, second = np.empty((2, len(column) + 1, len(column) + 1), dtype=np.intp)
    first[:-1, :-1] = 2 * (harmonic[:, None] + harmonic) + mixed + negative * (is_sine[:, None] & is_sine)
    second[:-1, :-1] = 2 * np.abs(difference) + mixed + negative * minus
    for places in (first, second):
        places[-1, :-1] = places[:-1, -1] = 2 * negative + column
        places[-1, -1] = 2 * negative + 2 * (n_harmonics + 1)  # two: more than the variance, which is one
    return first, second
