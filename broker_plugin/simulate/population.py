"""Draw the stars: kinds, places, brightness, colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from broker_plugin.simulate.cadence import Field
from broker_plugin.simulate.identity import draw_distinct, ztf_object_id
from broker_plugin.simulate.kinds import KINDS, Span, Variable
from broker_plugin.simulate.nights import night_mjd
from broker_plugin.simulate.settings import SimulationSettings
from broker_plugin.simulate.surveys import SurveyProfile

_STARS_PER_FIELD = 25


_MARGIN_DAYS = 1.0  # barycentric times run up to 8.3 minutes past the survey's own


@dataclass(frozen=True, slots=True)
class SimulatedObject:
    """A star on the sky.

    Attributes
    ----------
    index : int
        Its number in the simulation.
    object_id : str
    ra, dec : float
        Degrees.
    field : int
        Index of its field.
    channel : int
        Readout channel (ZTF, 0 to 63) or detector (LSST, 0 to 188).
    variable : Variable
    mean_mag : mapping of str to float
        By band.
    """

    index: int
    object_id: str
    ra: float
    dec: float
    field: int
    channel: int
    variable: Variable
    mean_mag: Mapping[str, float]


def draw_population(settings: SimulationSettings) -> tuple[list[Field], list[SimulatedObject]]:
    """Draw the fields of a simulation and its stars, in the order of the truth table."""
    first_night = night_mjd(settings.start_date)
    span = Span(first_night - _MARGIN_DAYS, first_night + settings.n_nights + _MARGIN_DAYS)
    fields = draw_fields(np.random.default_rng([settings.seed, 1]), settings)
    return fields, draw_objects(settings, fields, span)


def draw_fields(rng: np.random.Generator, settings: SimulationSettings) -> list[Field]:
    """Draw the fields, uniformly on the sphere within the survey's declinations."""
    count = settings.n_fields or max(1, round(settings.n_objects / _STARS_PER_FIELD))
    low, high = np.sin(np.deg2rad(settings.profile.dec_range))
    numbers = sorted(draw_distinct(rng, count, max(900, 2 * count)))
    # Right ascensions are spread evenly: every season of the year is then there.
    turn = rng.random()
    return [
        Field(
            number=200 + number,
            ra=float(360.0 * ((i + 0.8 * rng.random()) / count + turn) % 360.0),
            dec=float(np.rad2deg(np.arcsin(rng.uniform(low, high)))),
        )
        for i, number in enumerate(numbers)
    ]


def share_kinds(mixture: Mapping[str, float], count: int) -> list[str]:
    """Share out a number of objects by weight (largest remainders), so that small runs keep the mixture."""
    total = sum(mixture.values())
    exact = {kind: count * weight / total for kind, weight in mixture.items()}
    shares = {kind: int(value) for kind, value in exact.items()}
    left = count - sum(shares.values())
    for kind in sorted(exact, key=lambda name: (shares[name] - exact[name], name))[:left]:
        shares[kind] += 1
    return [kind for kind, share in shares.items() for _ in range(share)]


def draw_objects(settings: SimulationSettings, fields: list[Field], span: Span) -> list[SimulatedObject]:
    """Draw all stars; each has its own stream of random numbers, so that one does not depend on another.

    Parameters
    ----------
    settings : SimulationSettings
    fields : list of Field
    span : Span
        The time that light curves have to cover.
    """
    rng = np.random.default_rng([settings.seed, 10])
    kinds = share_kinds(settings.mixture, settings.n_objects)
    rng.shuffle(kinds)
    names = draw_distinct(rng, settings.n_objects, 26**7 if settings.survey == "ztf" else 2**62)
    objects = []
    for index, (kind, number) in enumerate(zip(kinds, names, strict=True)):
        own = np.random.default_rng([settings.seed, 11, index])
        variable = KINDS[kind].draw(own, span)
        field = index % len(fields)
        ra, dec, channel = _place(own, settings.profile, fields[field])
        year = settings.start_date.year
        # LSST ids fill 63 bits: a reader that goes through a float notices.
        object_id = ztf_object_id(number, year) if settings.survey == "ztf" else str(2**62 + number)
        mean_mag = _mean_magnitudes(own, settings.profile, variable)
        objects.append(SimulatedObject(index, object_id, ra, dec, field, channel, variable, mean_mag))
    return objects


def _place(rng: np.random.Generator, profile: SurveyProfile, field: Field) -> tuple[float, float, int]:
    """Place a star in a field, and find its channel on a square grid of detectors."""
    side = 8 if profile.name == "ztf" else 13
    x, y = rng.random(2)
    dec = field.dec + (y - 0.5) * profile.field_width_deg
    ra = (field.ra + (x - 0.5) * profile.field_width_deg / np.cos(np.deg2rad(dec))) % 360.0
    return float(ra), float(dec), int(y * side) * side + int(x * side)


def _mean_magnitudes(
    rng: np.random.Generator, profile: SurveyProfile, variable: Variable
) -> Mapping[str, float]:
    """Draw r (faint stars are more common) and follow the main sequence's colours from g - r."""
    low, high = profile.brightness
    colour = variable.colour
    r = low + (high - low) * rng.random() ** 0.7 + variable.faint_offset
    i = r - 0.1 - 0.45 * colour
    z = i - 0.2 * colour
    return {
        "u": r + 1.1 + 1.9 * colour,
        "g": r + colour,
        "r": r,
        "i": i,
        "z": z,
        "y": z - 0.1 * colour,
    }
