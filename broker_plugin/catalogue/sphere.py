"""Positions on the sky as unit vectors: distances that are exact at every declination and across RA 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from broker_plugin.records.epoch import FloatArray


def unit_vectors(ra: Any, dec: Any) -> FloatArray:
    """Return unit vectors, shape (..., 3), of positions in degrees."""
    alpha, delta = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=-1)


def chord(angle: Any) -> Any:
    """Return the chord of an angle in radians on the unit sphere."""
    return 2 * np.sin(angle / 2)


def angle_arcsec(between: Any) -> Any:
    """Return the angle, in arcsec, of a chord on the unit sphere; the reverse of :func:`chord`."""
    return np.degrees(2 * np.arcsin(np.minimum(between / 2, 1.0))) * 3600
