"""The slim record that ingest publishes: all the epochs one alert brought, by band."""

from __future__ import annotations

from dataclasses import dataclass

from broker_plugin.records.epoch import EpochArray


@dataclass(frozen=True, slots=True)
class ObjectPhotometry:
    """Apparent photometry of one object out of one alert packet.

    Attributes
    ----------
    survey : str
        ``"ztf"`` or ``"lsst"``.
    object_id : str
        The survey's own id; 64-bit ids as decimal strings.
    alert_id : str
        ``candid`` or ``diaSourceId`` as a decimal string.
    alert_time_mjd : float
        Barycentric MJD (TDB) of the alert's own exposure.
    ra, dec : float
        Position in the alert, degrees, J2000.
    bands : dict of str to ndarray of EPOCH_DTYPE
        The epochs of each band, in time order. Bands without a usable epoch are absent.
    """

    survey: str
    object_id: str
    alert_id: str
    alert_time_mjd: float
    ra: float
    dec: float
    bands: dict[str, EpochArray]


def object_key(survey: str, object_id: str) -> bytes:
    """Return the Kafka key of an object: everything about it lands in one partition."""
    return f"{survey}/{object_id}".encode()
