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
    coefficients : ndarray, shape (n_frequencies, 2 H), float64
        Of the series with H harmonics: cosine and sine of the first harmonic, then of the second, ...
    """

    residual: FloatArray
    coefficients: FloatArray


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
    weight_sums, value_sums = _trigonometric_sums(time_days, values, weights, frequencies, n_harmonics)
    normal, moments = _normal_equations(weight_sums, value_sums, n_harmonics)
    diagonal = np.arange(2 * n_harmonics)
    normal[:, diagonal, diagonal] += _RIDGE
    factor = np.asarray(np.linalg.cholesky(normal), dtype=np.float64)
    projected = _forward_substitution(factor, moments)
    explained = np.cumsum(projected**2, axis=1)[:, 1::2]
    residual = np.clip(1.0 - explained, 1e-9, 1.0)
    coefficients = np.linalg.solve(normal, moments[:, :, None])[:, :, 0]
    return HarmonicFits(residual, np.asarray(coefficients, dtype=np.float64))


def _trigonometric_sums(
    time_days: FloatArray, values: FloatArray, weights: FloatArray, frequencies: FloatArray, n_harmonics: int
) -> tuple[ComplexArray, ComplexArray]:
    """Return sums of w exp(i k phi), k = 0..2H, and of w y exp(i k phi), k = 0..H, one row a frequency."""
    weighted = (weights * values).astype(np.complex128)
    plain = weights.astype(np.complex128)
    base = np.exp(2j * np.pi * (frequencies[:, None] * time_days % 1.0))
    power = np.ones_like(base)
    weight_sums = np.ones((len(frequencies), 2 * n_harmonics + 1), dtype=np.complex128)
    value_sums = np.zeros((len(frequencies), n_harmonics + 1), dtype=np.complex128)
    for order in range(1, 2 * n_harmonics + 1):
        power *= base
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
