"""A window of 200 epochs of one object in one band: the contract between accumulate and score."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from broker_plugin.records.color import BandMean
from broker_plugin.records.epoch import EpochArray

WINDOW_EPOCHS = 200
"""Length of the network's input sequence (Tsang & Schultz 2019)."""

WITHDRAWAL = "withdrawal"
"""Kind of a record that holds what is left of a light curve that had a window and has too few epochs now."""


@dataclass(frozen=True, slots=True)
class Window:
    """Photometry that is due for scoring.

    Attributes
    ----------
    survey, object_id, band : str
    ra, dec : float
        Degrees, J2000, of the newest alert.
    alert_id : str
        The alert whose arrival made the window due.
    alert_time_mjd : float
        Its exposure, barycentric MJD (TDB).
    kind : str
        ``"latest"`` (the newest 200 epochs), ``"paper"`` (disjoint chunks in time order), or
        :data:`WITHDRAWAL`: not to be scored, the survey has taken epochs back and too few are left.
    n_epochs_total : int
        Epochs of the object in this band so far, those before the window included.
    epochs : ndarray of EPOCH_DTYPE, shape (200,), or fewer in a withdrawal
        In strictly increasing time order, one per exposure.
    withdrawn_mjd : tuple of float
        Times of the exposures whose withdrawal made the window due; empty where epochs were added only.
    band_means : mapping of str to BandMean, or None
        Mean magnitudes of the object by band over the time of the window; None in records of older versions.
        No part of ``window_id``: another band's epochs make no other window.
    """

    survey: str
    object_id: str
    band: str
    ra: float
    dec: float
    alert_id: str
    alert_time_mjd: float
    kind: str
    n_epochs_total: int
    epochs: EpochArray
    withdrawn_mjd: tuple[float, ...] = ()
    band_means: Mapping[str, BandMean] | None = None

    @property
    def window_id(self) -> str:
        """Return a digest of what the window holds: equal windows have equal ids, however often emitted."""
        digest = hashlib.sha256(f"{self.survey}/{self.object_id}/{self.band}/{self.kind}/".encode())
        for column in ("time_mjd", "mag", "magerr"):
            digest.update(self.epochs[column].tobytes())
        return digest.hexdigest()[:32]
