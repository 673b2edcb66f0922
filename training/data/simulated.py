"""Simulated stars of other surveys as a table of light curves: how a model does away from its own survey."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from broker_plugin.photometry.times import MJD_ZERO_JD, bmjd_tdb_from_utc_jd_start
from broker_plugin.simulate.generate import observed_stars
from broker_plugin.simulate.measure import AB_ZERO_POINT
from broker_plugin.simulate.settings import SimulationSettings

_SURVEYS = {
    "ztf": SimulationSettings(survey="ztf", start_date=dt.date(2022, 1, 1), n_nights=1080),
    # As often as a deep field has it: the wide survey takes years to 200 epochs in one band.
    "lsst": SimulationSettings(survey="lsst", n_nights=1080, cadence_factor=6.0, bands=("r", "i")),
}
_MAX_MAGERR = 0.3
_MIN_EPOCHS = 200


def simulate_stars(out: Path, *, survey: Literal["ztf", "lsst"], stars: int, seed: int) -> int:
    """Write the light curves of simulated stars, one row a star and band; return how many.

    Three years of the survey's cadence, noise, weather and gross errors, in the default mixture of kinds. Of
    the usable epochs (flux above zero, error below 0.3 mag, not saturated) none is left out, so that gross
    errors stay. Times are barycentric, as the stream has them. The bands of a star are one group.
    """
    settings = replace(_SURVEYS[survey], n_objects=stars, seed=seed)
    exposure_seconds = settings.profile.exposure_seconds
    rows = []
    for number, (star, exposures, measured) in enumerate(observed_stars(settings)):
        time = bmjd_tdb_from_utc_jd_start(
            exposures.start_mjd_utc + MJD_ZERO_JD, star.ra, star.dec, exposure_seconds
        )
        flux = np.maximum(measured.flux, 1e-9)
        mag = AB_ZERO_POINT - 2.5 * np.log10(flux)
        magerr = measured.flux_err / flux * 2.5 / np.log(10.0)
        usable = (measured.flux > 0) & (magerr < _MAX_MAGERR) & ~measured.saturated
        for band in settings.used_bands:
            chosen = np.flatnonzero(usable & (exposures.band == band))
            if len(chosen) < _MIN_EPOCHS:
                continue
            rows.append(
                {
                    "star_id": f"{star.object_id}_{band}",
                    "survey": f"simulated {survey}",
                    "superclass": star.variable.superclass or "NOVEL",
                    "orig_class": star.variable.kind,
                    "group": number,
                    "period": star.variable.period_days,
                    "hjd": time[chosen] + MJD_ZERO_JD,
                    "mag": mag[chosen].astype(np.float32),
                    "magerr": magerr[chosen].astype(np.float32),
                }
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    pd.DataFrame(rows).astype({"period": "float64"}).to_parquet(partial)
    os.replace(partial, out)
    return len(rows)
