"""Which measurements are good enough: every cut, its default, and whose value that is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityCuts:
    """Quality cuts; a measurement that lacks the quantity of a cut (NaN) passes it unless stated otherwise.

    Attributes
    ----------
    min_rb : float
        ZTF real/bogus score, at least. 0.55: ALeRCE and Fink.
    min_drb : float
        ZTF deep-learning real/bogus score, at least (only the alert's own candidate carries one).
        0.2: in use at brokers beside ``rb``; it removes what the network calls surely bogus.
    max_bad_pixels : int
        ZTF ``nbad``, at most, in the 5 x 5 pixel stamp. 0: Fink.
    max_reference_distance_arcsec : float
        ZTF ``distnr``, below. 1.4: ALeRCE's "corrected". Without a star in the reference image a difference
        magnitude says nothing of a star's brightness; missing does not pass.
    procstatus : frozenset of int
        ZTF forced photometry: processing codes that are usable. {0, 57}: ALeRCE; 57 warns of a reference
        that has few epochs. Several codes at once do not pass.
    programs : frozenset of int or None
        ZTF ``programid``: 1 public, 2 partnership, 3 Caltech. None: all. Missing does not pass.
    solar_system_arcsec : float or None
        ZTF: an alert with a known solar-system object at 0 to this many arcsec is rejected as a whole.
        5: Fink. None: no cut.
    min_reliability : float or None
        LSST ``reliability``, at least. None: no cut, Rubin recommends no value yet.
    reject_dipoles : bool
        LSST ``isDipole``, Rubin's flag: the residual of a misaligned template, or of a moving body.
    min_mag, max_mag : float
        Apparent magnitude, open interval. 6 and 30: ALeRCE's light-curve classifier.
    max_magerr : float
        1-sigma error, below (and above zero). 1: ALeRCE's light-curve classifier.
    """

    min_rb: float = 0.55
    min_drb: float = 0.2
    max_bad_pixels: int = 0
    max_reference_distance_arcsec: float = 1.4
    procstatus: frozenset[int] = frozenset({0, 57})
    programs: frozenset[int] | None = None
    solar_system_arcsec: float | None = 5.0
    min_reliability: float | None = None
    reject_dipoles: bool = True
    min_mag: float = 6.0
    max_mag: float = 30.0
    max_magerr: float = 1.0
