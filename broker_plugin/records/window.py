"""A window of 200 epochs of one object in one band: the contract between accumulate and score."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from broker_plugin.records.epoch import EpochArray

WINDOW_EPOCHS = 200
"""Length of the network's input sequence (Tsang & Schultz 2019)."""


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
        ``"latest"`` (the newest 200 epochs) or ``"paper"`` (disjoint chunks in time order).
    n_epochs_total : int
        Epochs of the object in this band so far, those before the window included.
    epochs : ndarray of EPOCH_DTYPE, shape (200,)
        In strictly increasing time order, one per exposure.
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

    @property
    def window_id(self) -> str:
        """Return a digest of what the window holds: equal windows have equal ids, however often emitted."""
        digest = hashlib.sha256(f"{self.survey}/{self.object_id}/{self.band}/{self.kind}/".encode())
        for column in ("time_mjd", "mag", "magerr"):
            digest.update(self.epochs[column].tobytes())
        return digest.hexdigest()[:32]
