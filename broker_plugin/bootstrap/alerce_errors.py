"""The error of an apparent magnitude, out of the two that ALeRCE publishes."""

from __future__ import annotations

import numpy as np

from broker_plugin.records.epoch import FloatArray


def corrected_error(error: FloatArray, extended: FloatArray) -> FloatArray:
    """Return the errors of reference and difference in quadrature.

    With d = f_diff sigmapsf / u and r = f_ref sigmagnr / u (u the star's flux), ``extended`` is d, and
    ``error`` is sqrt(d^2 - r^2), which is undefined where r is the larger (see
    :func:`broker_plugin.photometry.magnitudes.difference_to_apparent`). So sqrt(d^2 + r^2) = sqrt(2 d^2 -
    error^2), and where ``error`` is missing it is at least d sqrt(2), which is taken.

    Parameters
    ----------
    error, extended : ndarray, shape (n,)
        ``sigmapsf_corr`` and ``sigmapsf_corr_ext``; NaN where missing.

    Returns
    -------
    ndarray, shape (n,), float64
        NaN where ``extended`` is missing.
    """
    known = np.nan_to_num(error, nan=0.0)
    result: FloatArray = np.sqrt(np.maximum(2.0 * extended**2 - known**2, 0.0))
    return result
