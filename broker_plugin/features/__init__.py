"""From a window and a period to the network's input; no I/O, the same for stream and training."""

from broker_plugin.features.conventions import OUR_INPUT, PUBLISHED_INPUT, AuxiliaryFeature, InputConventions
from broker_plugin.features.network_input import NetworkInput, build_network_input, raw_auxiliary
from broker_plugin.features.screening import MIN_DISTINCT_TIMES, ScreenReason, screen

__all__ = [
    "MIN_DISTINCT_TIMES",
    "OUR_INPUT",
    "PUBLISHED_INPUT",
    "AuxiliaryFeature",
    "InputConventions",
    "NetworkInput",
    "ScreenReason",
    "build_network_input",
    "raw_auxiliary",
    "screen",
]
