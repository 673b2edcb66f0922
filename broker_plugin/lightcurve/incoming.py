"""The epochs of a batch of packets on their way into the light curves.

What depends on an epoch alone (is it usable, which time slot) is asked of all epochs of a batch at once,
since numpy is slow on a few; what depends on the light curve is done one packet after the other.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from broker_plugin.lightcurve import epochs as ep
from broker_plugin.lightcurve.history import BandHistory, Update
from broker_plugin.lightcurve.plain import PlainEpochs
from broker_plugin.records.epoch import EpochArray, is_withdrawn
from broker_plugin.records.photometry_batch import BandRows, PacketHead


class IncomingEpochs:
    """The epochs of a batch.

    Parameters
    ----------
    epochs : ndarray of EPOCH_DTYPE
        As in :class:`broker_plugin.records.photometry_batch.PhotometryBatch`.
    """

    def __init__(self, epochs: EpochArray) -> None:
        self._epochs = epochs
        self._usable = ep.usable(epochs)
        self._odd: list[int] = np.flatnonzero(~self._usable | is_withdrawn(epochs)).tolist()
        with np.errstate(invalid="ignore"):  # of times that are none
            slots: list[int] = ep.time_slots(epochs).tolist()
        self._plain = PlainEpochs(slots, epochs.tobytes())

    def merge_into(
        self, history: BandHistory, packet: PacketHead, rows: BandRows, max_epochs: int
    ) -> Update | None:
        """Merge the rows of one band of a packet into its history; None if none of them is usable."""
        start, stop = rows.start, rows.stop
        next_odd = bisect_left(self._odd, start)
        if start < stop and (next_odd == len(self._odd) or self._odd[next_odd] >= stop):
            plain = self._plain.part(start, stop)
            return history.add_plain(
                plain, ra=packet.ra, dec=packet.dec, version=packet.version, max_epochs=max_epochs
            )
        usable = self._epochs[start:stop][self._usable[start:stop]]
        if not len(usable):
            return None
        return history.add(
            usable, ra=packet.ra, dec=packet.dec, version=packet.version, max_epochs=max_epochs
        )
