"""The period search, harmonic decisions included, beside Lomb-Scargle periodograms alone."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.measure import Absent, Effort, Way, lines, way
from benchmarks.results import Figure, Line, Result, find
from benchmarks.rows import Say
from benchmarks.samples import Curve, curves
from broker_plugin.period import PeriodSettings, find_period, find_periods
from broker_plugin.period.spectrum import frequency_grid

ONE = "period search, one window at a time"
MANY = "period search, 64 windows in a batch"
ASTROPY = "astropy LombScargle, fast, 1 term"
THREE_TERMS = "astropy LombScargle, fastchi2, 3 terms"
SETTINGS = PeriodSettings()
_BATCH = 64


def ours(sample: list[Curve]) -> Way:
    """Return our search of windows one by one."""
    return Way(
        ONE,
        lambda: [find_period(one.time_mjd, one.mag, one.magerr, SETTINGS) for one in sample],
        len(sample),
    )


def astropy_way(sample: list[Curve], terms: int) -> Way:
    """Return astropy's periodogram on the same grid; it decides nothing."""
    from astropy.timeseries import LombScargle

    def one(curve: Curve) -> object:
        grid = frequency_grid(float(np.ptp(curve.time_mjd)), SETTINGS)
        frequencies = grid.step * (grid.first + np.arange(grid.size))
        search = LombScargle(curve.time_mjd, curve.mag, curve.magerr, nterms=terms)
        method = "fast" if terms == 1 else "fastchi2"
        return search.power(frequencies, method=method, assume_regular_frequency=True)

    name = ASTROPY if terms == 1 else THREE_TERMS
    return Way(name, lambda: [one(curve) for curve in sample], len(sample))


def light_curve_way(sample: list[Curve]) -> Way:
    """Return the ``light-curve`` package's periodogram, as near to the same grid as its settings go."""
    import light_curve

    baseline = float(np.median([np.ptp(curve.time_mjd) for curve in sample]))
    grid = frequency_grid(baseline, SETTINGS)
    # Its resolution is the step's in 1 / baseline; its highest frequency is told in Nyquist frequencies.
    typical = len(sample[0].time_mjd) / baseline / 2.0
    periodogram = light_curve.Periodogram(
        peaks=10,
        resolution=1.0 / (grid.step * baseline),
        max_freq_factor=(grid.first + grid.size) * grid.step / typical,
        nyquist="average",
        fast=True,
    )
    return Way(
        "light-curve Periodogram, fast",
        lambda: [periodogram(one.time_mjd, one.mag, one.magerr) for one in sample],
        len(sample),
    )


def period(effort: Effort, say: Say) -> Result:
    """Measure windows of 200 and of 1 000 epochs."""
    found: list[Line] = []
    figures: list[Figure] = []
    for n_epochs in (200, 1000):
        group = f"{n_epochs:,} epochs"
        say(group)
        few, many = curves(400 // n_epochs or 1, n_epochs), curves(_BATCH, n_epochs)
        columns = [(curve.time_mjd, curve.mag, curve.magerr) for curve in many]
        batch = Way(MANY, partial(find_periods, columns, SETTINGS), _BATCH)
        others: list[Way | Absent] = [
            way(ASTROPY, partial(astropy_way, few, 1)),
            way("light-curve Periodogram, fast", partial(light_curve_way, few)),
        ]
        slow = [way(THREE_TERMS, partial(astropy_way, few[:1], 3))]
        if effort.quick and n_epochs > 200:
            slow = [Absent(THREE_TERMS, "half a minute a window: not with --quick")]
        found += lines(group, "window", ours(few), others, effort, also=[batch], slow=slow)
        figures += _figures(found, group, aimed=n_epochs == 200)
    baselines = [float(np.ptp(curve.time_mjd)) for curve in curves(4, 200)]
    points = frequency_grid(float(np.median(baselines)), SETTINGS).size
    about = (
        "Simulated windows with a visit each third night and yearly gaps (benchmarks/samples.py); periods "
        f"from 0.03 days; {points:,} frequencies for a median window of 200 epochs. Ours finds peaks, sums "
        "harmonics, refits candidates with six of them, decides between P, P/2 and 2P, and computes a "
        "false-alarm probability; the others compute a power on the same grid. All on one thread."
    )
    return Result("period", "Period search", about, found, figures)


def _figures(found: list[Line], group: str, *, aimed: bool) -> list[Figure]:
    figures = []
    for name in (ONE, MANY):
        line = find(found, name, group)
        if line is not None and line.cpu is not None:
            aim = 25.0 if aimed else None
            figures.append(
                Figure(
                    f"{group}: {name}", line.cpu.median * 1e3, "ms/window", aim, "at most" if aimed else ""
                )
            )
    line = find(found, ASTROPY, group)
    if line is not None and line.ratio is not None:
        figures.append(Figure(f"{group}: beside {ASTROPY}", line.ratio.median, "times", 15.0, "at least"))
    return figures
