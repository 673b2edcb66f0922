"""What decoding a packet leads to: an alert, bytes that are no alert, or an alert that is not for us."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Reason(StrEnum):
    """Why bytes hold no usable alert: labels of a metric and words in the dead letters."""

    EMPTY = "empty"
    WRONG_FRAMING = "wrong_framing"
    TRUNCATED = "truncated"
    BAD_HEADER = "bad_header"
    BAD_AVRO = "bad_avro"
    BAD_FIELD = "bad_field"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNSAFE_SCHEMA = "unsafe_schema"
    UNSUPPORTED_CODEC = "unsupported_codec"
    TRAILING_BYTES = "trailing_bytes"
    TOO_LARGE = "too_large"


Table = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Alert:
    """One alert, as the survey measured it; missing values of every kind are NaN.

    Attributes
    ----------
    survey : str
        ``"ztf"`` or ``"lsst"``.
    schema_version : str
        The survey's own version, ``"unversioned"`` for the oldest ZTF packets.
    object_id : str
        ``objectId`` (ZTF) or ``diaObjectId`` as a decimal string (LSST).
    alert_id : str
        ``candid`` or ``diaSourceId`` as a decimal string.
    ra, dec : float
        Degrees, J2000.
    solar_system_arcsec : float
        Distance to the nearest known solar-system object; NaN when there is none.
    sources : ndarray, shape (1 + n, number of columns), float64
        The alert's own measurement, then the previous ones. Columns:
        :data:`broker_plugin.decode.ztf.SOURCE_COLUMNS` or :data:`broker_plugin.decode.lsst.SOURCE_COLUMNS`.
    forced : ndarray, shape (m, number of columns), float64
        Forced photometry. Columns: :data:`broker_plugin.decode.ztf.FORCED_COLUMNS` or
        :data:`broker_plugin.decode.lsst.SOURCE_COLUMNS`.
    """

    survey: str
    schema_version: str
    object_id: str
    alert_id: str
    ra: float
    dec: float
    solar_system_arcsec: float
    sources: Table
    forced: Table


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that hold no usable alert: they go to the dead letters.

    Attributes
    ----------
    reason : str
        A word of :class:`Reason`.
    detail : str
        One line for a person: what was found, what was expected.
    """

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sound alert that is not for us (no object, a solar-system body, ...): counted, nothing more."""

    survey: str
    reason: str
    detail: str


class MalformedError(Exception):
    """Carries a :class:`Malformed` from where it is found to the decoder; never leaves this package."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.value = Malformed(reason.value, detail)


class RejectedError(Exception):
    """Carries a :class:`Rejected` from where it is found to the decoder; never leaves this package."""

    def __init__(self, detail: str, *, survey: str, reason: str) -> None:
        super().__init__(detail)
        self.value = Rejected(survey, reason, detail)
