"""From a window and a period to the network's input; no I/O, the same for stream and training."""

from broker_plugin.features.conventions import (
    AUXILIARY_FEATURES,
    OUR_INPUT,
    PUBLISHED_INPUT,
    InputConventions,
)
from broker_plugin.features.network_input import NetworkInput, build_network_input, compute_auxiliary
from broker_plugin.features.screening import MIN_DISTINCT_TIMES, ScreenReason, screen, screen_windows
from broker_plugin.features.structure import STRUCTURE_FEATURES, structure_features

__all__ = [
    "AUXILIARY_FEATURES",
    "MIN_DISTINCT_TIMES",
    "OUR_INPUT",
    "PUBLISHED_INPUT",
    "STRUCTURE_FEATURES",
    "InputConventions",
    "NetworkInput",
    "ScreenReason",
    "build_network_input",
    "compute_auxiliary",
    "screen",
    "screen_windows",
    "structure_features",
]
