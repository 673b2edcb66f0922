"""An alert's own clock, read from its packet."""

from __future__ import annotations

from broker_plugin.decode.alert import Alert
from broker_plugin.decode.decoder import Decoder
from broker_plugin.decode.lsst import SOURCE_COLUMNS as LSST_COLUMNS
from broker_plugin.decode.ztf import SOURCE_COLUMNS as ZTF_COLUMNS
from broker_plugin.photometry.times import MJD_ZERO_JD, SECONDS_PER_DAY, tai_minus_utc


class AlertClock:
    """Reads the times of many packets, keeping the parsed schemas between them."""

    def __init__(self, decoder: Decoder | None = None) -> None:
        self._decoder = decoder or Decoder()

    def time(self, payload: bytes) -> float | None:
        """Return the time of the alert's exposure; see :func:`packet_time`."""
        alert = self._decoder.decode(payload)[0]
        if not isinstance(alert, Alert):
            return None
        if alert.survey == "ztf":
            time_mjd = float(alert.sources[0, ZTF_COLUMNS.index["jd"]]) - MJD_ZERO_JD
        else:
            tai = float(alert.sources[0, LSST_COLUMNS.index["midpointMjdTai"]])
            time_mjd = tai - float(tai_minus_utc(tai)) / SECONDS_PER_DAY
        return time_mjd if time_mjd == time_mjd else None  # NaN: the packet has no time  # noqa: PLR0124


def packet_time(payload: bytes) -> float | None:
    """Return the time of an alert's exposure, or None for a packet that has none or cannot be decoded.

    Parameters
    ----------
    payload : bytes

    Returns
    -------
    float or None
        MJD, UTC: ``jd`` of a ZTF alert (start of exposure), ``midpointMjdTai`` of an LSST alert. For many
        packets use one :class:`AlertClock`: parsing an embedded schema costs far more than the packet.
    """
    return AlertClock().time(payload)
