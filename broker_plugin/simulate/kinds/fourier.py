"""Fourier series as light-curve shapes, in the convention of the literature on pulsating stars.

``m(phase) = sum_k A_k cos(2 pi k phase + phi_k)`` with the epoch-independent R_k1 = A_k / A_1 and
phi_k1 = phi_k - k phi_1 (Simon & Lee 1981).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

_DENSE_PHASE = np.linspace(0.0, 1.0, 512, endpoint=False)


@dataclass(frozen=True, slots=True)
class FourierShape:
    """A light-curve shape of zero mean and peak-to-peak amplitude one, faint positive.

    Attributes
    ----------
    amplitudes, phases : ndarray, shape (k,), float64
        A_k and phi_k in radians, of harmonics 1 to k.
    """

    amplitudes: FloatArray
    phases: FloatArray

    def __call__(self, phase: FloatArray) -> FloatArray:
        """Return the shape at phases, shape (n,)."""
        return _series(np.asarray(phase, dtype=np.float64), self.amplitudes, self.phases)


def fourier_shape(r_k1: npt.ArrayLike, phi_k1: npt.ArrayLike) -> FourierShape:
    """Build a shape from amplitude ratios and phase differences.

    Parameters
    ----------
    r_k1 : array_like, shape (k - 1,)
        R_21, R_31, ...
    phi_k1 : array_like, shape (k - 1,)
        phi_21, phi_31, ... in radians, cosine convention.

    Returns
    -------
    FourierShape
        Scaled to peak-to-peak amplitude one; the first harmonic has phase zero.
    """
    amplitudes = np.concatenate([[1.0], np.asarray(r_k1, dtype=np.float64)])
    phases = np.concatenate([[0.0], np.asarray(phi_k1, dtype=np.float64)])
    amplitudes = amplitudes / np.ptp(_series(_DENSE_PHASE, amplitudes, phases))
    return FourierShape(amplitudes, phases)


def _series(phase: FloatArray, amplitudes: FloatArray, phases: FloatArray) -> FloatArray:
    total = np.zeros_like(phase)
    for k, (amplitude, offset) in enumerate(zip(amplitudes, phases, strict=True), start=1):
        total += amplitude * np.cos(2 * np.pi * k * phase + offset)
    return total
