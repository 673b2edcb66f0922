"""How the finalists scatter, judged where squares mislead: outliers and narrow eclipses.

Least squares follow one bad epoch in a hundred, and six harmonics cannot follow an
eclipse of a twentieth of a cycle. The mean absolute residual forgives the former;
the fold against its own running median, which assumes no shape, sees the latter.
"""

from __future__ import annotations

import numpy as np

from broker_plugin.period.harmonics import fit_on_circle, unit_circle
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.records.epoch import FloatArray

_NEIGHBOURS = 9  # epochs of the running median, the one in the middle included
_LEAST = 1e-6  # of the standard deviation: no light curve is that smooth, and logarithms want a floor


def absolute_residual(curve: LightCurve, frequencies: FloatArray, harmonics: FloatArray) -> FloatArray:
    """Return the mean absolute residual of the series with that many harmonics at each frequency.

    Parameters
    ----------
    curve : LightCurve
    frequencies : ndarray, shape (n_frequencies,), float64
        Cycles per day.
    harmonics : ndarray of int, shape (n_frequencies,)

    Returns
    -------
    ndarray, shape (n_frequencies,), float64
        In standard deviations of the light curve.
    """
    most = int(harmonics.max())
    circle = unit_circle(curve.time_days, frequencies)
    fits = fit_on_circle(circle, curve.values, curve.weights, most)
    beyond = np.arange(2 * most + 1) > 2 * harmonics[:, None]
    normal = np.where(beyond[:, :, None] | beyond[:, None], np.eye(2 * most + 1), fits.normal)
    moments = np.where(beyond, 0.0, fits.moments)
    solved = np.linalg.solve(normal, moments[:, :, None])[:, :, 0]
    amplitudes = solved[:, 1::2] - 1j * solved[:, 2::2]
    model = np.zeros(circle.shape, dtype=np.complex128)
    for k in reversed(range(most)):  # Horner's scheme
        model += amplitudes[:, [k]]
        model *= circle
    residual = curve.values - model.real
    residual -= (residual * curve.weights).sum(axis=1, keepdims=True)
    scatter: FloatArray = np.abs(residual).mean(axis=1)
    return scatter.clip(_LEAST)


def folded_scatter(curve: LightCurve, frequencies: FloatArray) -> FloatArray:
    """Return the mean absolute difference of each folded light curve to its own running median.

    Shape (n_frequencies,), float64, in standard deviations of the light curve.
    """
    cycles = frequencies[:, None] * curve.time_days
    order = np.argsort(cycles - np.floor(cycles), axis=1, kind="stable")
    folded = curve.values[order]
    reach = _NEIGHBOURS // 2
    around = np.concatenate([folded[:, -reach:], folded, folded[:, :reach]], axis=1)
    neighbours = np.lib.stride_tricks.sliding_window_view(around, _NEIGHBOURS, axis=1)
    median = np.partition(neighbours, reach, axis=2)[:, :, reach]  # a third of the time of np.median
    scatter: FloatArray = np.abs(folded - median).mean(axis=1)
    return scatter.clip(_LEAST)
