"""Multi-harmonic least-squares fits of one light curve at many trial frequencies at once.

The normal equations of a weighted Fourier series need only the trigonometric
sums of the weights (orders 0 to 2H) and of the weighted magnitudes (0 to H):
computed as powers of one complex exponential they cost about one multiplication
a sample and order. The columns are ordered by harmonic, so that one Cholesky
factor gives the residuals of all series of 1 to H harmonics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

ComplexArray = npt.NDArray[np.complex128]

_RIDGE = 1e-9  # of the largest diagonal element; keeps the factor positive when phases leave gaps


@dataclass(frozen=True, slots=True)
class HarmonicFits:
    """Fourier series fitted at many frequencies.

    Attributes
    ----------
    residual : ndarray, shape (n_frequencies, H), float64
        Residual variance of the series with 1..H harmonics, in units of the variance about the mean.
    normal : ndarray, shape (n_frequencies, 2 H, 2 H), float64
    moments : ndarray, shape (n_frequencies, 2 H), float64
        The normal equations of the series with H harmonics.
    """

    residual: FloatArray
    normal: FloatArray
    moments: FloatArray

    @property
    def coefficients(self) -> FloatArray:
        """Return those of the series with H harmonics: cosine and sine of the first, of the second, ...

        Shape (n_frequencies, 2 H), float64.
        """
        solved = np.linalg.solve(self.normal, self.moments[:, :, None])[:, :, 0]
        return np.asarray(solved, dtype=np.float64)


def unit_circle(time_days: FloatArray, frequencies: FloatArray) -> ComplexArray:
    """Return ``exp(2 pi i f t)``, one row a frequency (cycles per day)."""
    cycles = frequencies[:, None] * time_days
    cycles -= np.rint(cycles)  # in place of a remainder, which takes ten times as long
    cycles *= 2.0 * np.pi
    circle = np.empty(cycles.shape, dtype=np.complex128)
    np.cos(cycles, out=circle.real)
    np.sin(cycles, out=circle.imag)
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
    weight_sums, value_sums = _trigonometric_sums(circle, values, weights, n_harmonics)
    normal, moments = _normal_equations(weight_sums, value_sums, n_harmonics)
    diagonal = np.arange(2 * n_harmonics)
    normal[:, diagonal, diagonal] += _RIDGE
    factor = np.asarray(np.linalg.cholesky(normal), dtype=np.float64)
    projected = _forward_substitution(factor, moments)
    explained = np.cumsum(projected**2, axis=1)[:, 1::2]
    residual = np.clip(1.0 - explained, 1e-9, 1.0)
    return HarmonicFits(residual, normal, moments)


def _trigonometric_sums(
    circle: ComplexArray, values: FloatArray, weights: FloatArray, n_harmonics: int
) -> tuple[ComplexArray, ComplexArray]:
    """Return sums of w exp(i k phi), k = 0..2H, and of w y exp(i k phi), k = 0..H, one row a frequency."""
    weighted = (weights * values).astype(np.complex128)
    plain = weights.astype(np.complex128)
    power = circle.copy()
    weight_sums = np.ones((len(circle), 2 * n_harmonics + 1), dtype=np.complex128)
    value_sums = np.zeros((len(circle), n_harmonics + 1), dtype=np.complex128)
    for order in range(1, 2 * n_harmonics + 1):
        if order > 1:
            power *= circle
        # One dot product a row: a matrix product would wake the threads of the BLAS, which fight for cores.
        weight_sums[:, order] = np.vecdot(power, plain)
        if order <= n_harmonics:
            value_sums[:, order] = np.vecdot(power, weighted)
    np.conjugate(weight_sums, out=weight_sums)  # vecdot conjugates its first argument
    np.conjugate(value_sums, out=value_sums)
    return weight_sums, value_sums


def _normal_equations(
    weight_sums: ComplexArray, value_sums: ComplexArray, n_harmonics: int
) -> tuple[FloatArray, FloatArray]:
    """Return normal matrices (n_frequencies, 2H, 2H) and moments (n_frequencies, 2H), the mean eliminated."""
    order = np.arange(1, n_harmonics + 1)
    total = order[:, None] + order
    difference = order[:, None] - order
    plus, minus = weight_sums[:, total], weight_sums[:, np.abs(difference)]
    sign = np.sign(difference)
    n = len(weight_sums)
    blocks = np.empty((n, n_harmonics, 2, n_harmonics, 2))
    blocks[:, :, 0, :, 0] = 0.5 * (minus.real + plus.real)
    blocks[:, :, 1, :, 1] = 0.5 * (minus.real - plus.real)
    sine_cosine = 0.5 * (plus.imag + sign * minus.imag)
    blocks[:, :, 1, :, 0] = sine_cosine
    blocks[:, :, 0, :, 1] = sine_cosine.transpose(0, 2, 1)
    normal: FloatArray = blocks.reshape(n, 2 * n_harmonics, 2 * n_harmonics)
    means = _interleave(weight_sums[:, 1 : n_harmonics + 1])
    normal -= means[:, :, None] * means[:, None, :]
    return normal, _interleave(value_sums[:, 1:])  # values have mean zero, so the moments need no correction


def _interleave(sums: ComplexArray) -> FloatArray:
    """Return real and imaginary parts as cosine, sine, cosine, sine, ... columns."""
    return np.stack([sums.real, sums.imag], axis=2).reshape(len(sums), -1)


def _forward_substitution(factor: FloatArray, moments: FloatArray) -> FloatArray:
    """Solve L x = m for many lower triangular L at once (numpy has no batched triangular solver)."""
    solution = np.zeros_like(moments)
    for row in range(moments.shape[1]):
        known = np.einsum("ij,ij->i", factor[:, row, :row], solution[:, :row])
        solution[:, row] = (moments[:, row] - known) / factor[:, row, row]
    return solution
