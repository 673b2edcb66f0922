"""What combining the bands of an object gives, on simulated multi-band stars.

    python -m benchmarks.combined_bands --survey ztf --stars 1800 --seed 2 --out combined_ztf.json

Each simulated star has one window in each band (:mod:`benchmarks.simulated_stars`), scored by the shipped
model and combined by the rule of the stream (:mod:`broker_plugin.annotate.combine`). Half of the known stars
calibrate the p-values, bands together, the other half is judged, and the other way round, ten times over with
other halves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulated_stars import SURVEYS, BandScore, scored_stars
from broker_plugin.annotate.combine import agreed_period, combined_p_value, pooled_probabilities
from broker_plugin.model import default_bundle_path, open_scorer
from broker_plugin.model.calibration import Calibration
from broker_plugin.records.object_annotation import BandOpinion

_NOVEL = "NOVEL"
_SPLITS = 10
_LEVELS = (0.05, 0.01)
_RIGHT_PERIOD = 0.01

Star = Sequence[BandScore]


def main() -> None:
    """Simulate, combine, judge, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--survey", choices=list(SURVEYS), required=True)
    parser.add_argument("--stars", type=int, help="by default 900 for ztf, 360 for lsst")
    parser.add_argument("--seed", type=int, default=2, help="1 was used to choose the rule")
    parser.add_argument("--out", type=Path, help="JSON with the figures")
    arguments = parser.parse_args()
    settings = replace(SURVEYS[arguments.survey], seed=arguments.seed)
    if arguments.stars is not None:
        settings = replace(settings, n_objects=arguments.stars)

    began = time.process_time()
    scorer = open_scorer(default_bundle_path(), threads=1)
    stars: dict[int, list[BandScore]] = defaultdict(list)
    for scored in scored_stars(settings, scorer):
        stars[scored.star].append(scored)
    several = [star for star in stars.values() if len(star) > 1]
    figures = {
        "survey": arguments.survey,
        "seed": arguments.seed,
        "stars": len(several),
        "novel": sum(star[0].superclass == _NOVEL for star in several),
        "bands": sum(map(len, several)) / len(several),
        "model": scorer.bundle.digest,
        **judge(several, scorer.bundle.manifest.classes),
        "cpu_seconds": time.process_time() - began,
    }
    text = json.dumps(figures, indent=1)
    sys.stdout.write(text + "\n")
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def judge(stars: Sequence[Star], classes: Sequence[str]) -> dict[str, Any]:
    """Return accuracies, rates of false novelty and shares of right periods, single and combined."""
    known = [star for star in stars if star[0].superclass != _NOVEL]
    return {
        "class": _classes(known, classes),
        "novelty": _novelty(known, [star for star in stars if star[0].superclass == _NOVEL], classes),
        "period": _periods([star for star in known if np.isfinite(star[0].true_period_days)]),
    }


def _classes(known: Sequence[Star], classes: Sequence[str]) -> dict[str, Any]:
    truth = np.array([star[0].superclass for star in known])
    pooled = [pooled_probabilities([_opinion(band, classes) for band in star]) for star in known]
    bands = sorted({band.band for star in known for band in star})
    single = {
        name: _accuracy(
            *zip(
                *((b.score.predicted_class, b.superclass) for s in known for b in s if b.band == name),
                strict=True,
            )
        )
        for name in bands
    }
    every = [(b.score.probabilities[classes.index(b.superclass)]) for star in known for b in star]
    own = [p[star[0].superclass] for p, star in zip(pooled, known, strict=True)]
    return {
        "single": single,
        "single_mean": {
            what: float(np.mean([one[what] for one in single.values()])) for what in ("accuracy", "balanced")
        },
        "combined": _accuracy([max(p, key=p.__getitem__) for p in pooled], truth.tolist()),
        "cross_entropy": {"single": _entropy(every), "combined": _entropy(own)},
    }


def _accuracy(predicted: Sequence[str], truth: Sequence[str]) -> dict[str, float]:
    right = np.array(predicted) == np.array(truth)
    recalls = [right[np.array(truth) == name].mean() for name in sorted(set(truth))]
    return {"accuracy": float(right.mean()), "balanced": float(np.mean(recalls))}


def _entropy(own: Sequence[float]) -> float:
    return -float(np.mean(np.log(np.maximum(own, 1e-12))))


def _novelty(known: Sequence[Star], novel: Sequence[Star], classes: Sequence[str]) -> dict[str, Any]:
    """Return the share of ordinary and of novel stars at or below each level, by band and combined."""
    rng = np.random.default_rng(0)
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(_SPLITS):
        order = rng.permutation(len(known))
        halves = order[: len(known) // 2], order[len(known) // 2 :]
        for calibrating, judged in (halves, halves[::-1]):
            p_value = _p_values([known[i] for i in calibrating], classes)
            for what, stars in (("false", [known[i] for i in judged]), ("found", novel)):
                each = [[p_value(band) for band in star] for star in stars]
                single = np.concatenate(each)
                combined = np.array([combined_p_value(p) for p in each])
                for level in _LEVELS:
                    rates[what][f"single at {level}"].append(float((single <= level).mean()))
                    rates[what][f"combined at {level}"].append(float((combined <= level).mean()))
    return {what: {name: float(np.mean(r)) for name, r in found.items()} for what, found in rates.items()}


def _p_values(stars: Sequence[Star], classes: Sequence[str]) -> Callable[[BandScore], float]:
    """Return p-values that rest on the windows of some stars, by predicted class where there are enough."""
    windows = sorted(
        (band.score.energy, classes.index(band.score.predicted_class)) for s in stars for band in s
    )
    energies, predicted = zip(*windows, strict=True)
    calibration = Calibration(np.array(energies), np.array(predicted, dtype=np.int64))

    def p_value(band: BandScore) -> float:
        found = calibration.p_value(band.score.energy, classes.index(band.score.predicted_class))
        assert found is not None, "there are calibration windows"
        return found

    return p_value


def _periods(stars: Sequence[Star]) -> dict[str, float]:
    def right(days: float | None, true: float, factors: Sequence[float]) -> bool:
        return days is not None and any(abs(days / (true * f) - 1) < _RIGHT_PERIOD for f in factors)

    shares: Mapping[str, tuple[float, ...]] = {"exact": (1.0,), "up to a factor 2": (0.5, 1.0, 2.0)}
    found = {}
    for name, factors in shares.items():
        single = [right(b.period.value_days, b.true_period_days, factors) for star in stars for b in star]
        combined = [
            right(agreed_period([_opinion(b) for b in star])[0], star[0].true_period_days, factors)
            for star in stars
        ]
        found[f"single, {name}"] = float(np.mean(single))
        found[f"combined, {name}"] = float(np.mean(combined))
    return found


def _opinion(band: BandScore, classes: Sequence[str] = ()) -> BandOpinion:
    """Return a band's score as the combination takes it."""
    score, period = band.score, band.period
    return BandOpinion(
        band=band.band,
        annotation_id="",
        window_id="",
        revision=1,
        alert_time_mjd=band.last_epoch_mjd,
        first_epoch_mjd=band.first_epoch_mjd,
        last_epoch_mjd=band.last_epoch_mjd,
        n_epochs_total=len(score.phase),
        predicted_class=score.predicted_class,
        probabilities=dict(zip(classes, score.probabilities.tolist(), strict=False)),
        energy=score.energy,
        energy_percentile=score.percentile,
        p_value=score.p_value,
        novel=score.novel,
        period_days=period.value_days,
        fold_days=period.fold_days,
        period_method=period.method,
        log10_false_alarm=period.log10_false_alarm,
        mean_mag=score.mean_mag,
        std_mag=score.std_mag,
        quality_flags=(),
        model_name="",
        model_version="",
        model_digest="",
    )


if __name__ == "__main__":
    main()
