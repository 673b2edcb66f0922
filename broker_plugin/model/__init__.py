"""The trained model: bundle, runtimes, mixture and scorer; no I/O but reading a bundle."""

from broker_plugin.model.bundle import Bundle, bundle_path, default_bundle_path, load_bundle
from broker_plugin.model.conventions import CLASSES, OURS, PUBLISHED_CODE, Conventions
from broker_plugin.model.network_output import NetworkOutput
from broker_plugin.model.runtime import Runtime, RuntimeName, open_runtime
from broker_plugin.model.scorer import Score, Scorer, ScoringWindow, open_scorer

__all__ = [
    "CLASSES",
    "OURS",
    "PUBLISHED_CODE",
    "Bundle",
    "Conventions",
    "NetworkOutput",
    "Runtime",
    "RuntimeName",
    "Score",
    "Scorer",
    "ScoringWindow",
    "bundle_path",
    "default_bundle_path",
    "load_bundle",
    "open_runtime",
    "open_scorer",
]
