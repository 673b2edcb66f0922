"""What the metrics show of a model bundle."""

from __future__ import annotations

import numpy as np

from broker_plugin.drift import Distribution, from_quantiles
from broker_plugin.metrics import ModelFacts
from broker_plugin.model import Bundle


def model_facts(bundle: Bundle, runtime: str) -> ModelFacts:
    """Return the facts; the reference holds at least the energy: every bundle has its quantiles."""
    manifest = bundle.manifest
    return ModelFacts(
        name=manifest.name,
        version=manifest.version,
        digest=bundle.digest,
        runtime=runtime,
        novel_share=expected_novel_share(bundle),
        reference=training_reference(bundle),
    )


def expected_novel_share(bundle: Bundle) -> float:
    """Return which share of known stars lies at or above the bundle's threshold, 0 to 1.

    Of the held-out stars if the bundle is calibrated, else of the training's quantiles.
    """
    threshold = bundle.manifest.thresholds.novel
    if len(bundle.calibration_energies):
        return float(np.mean(bundle.calibration_energies >= threshold))
    levels = np.linspace(0.0, 1.0, len(bundle.energy_quantiles))
    return 1.0 - float(np.interp(threshold, bundle.energy_quantiles, levels))


def training_reference(bundle: Bundle) -> dict[str, Distribution]:
    """Return how the features of the training windows are distributed, as far as the bundle says."""
    return {"energy": from_quantiles(bundle.energy_quantiles), **bundle.reference}
