"""How a window becomes the network's input: every choice that two pipelines could make differently.

The choices are fields of a bundle's manifest, never constants of the code: one value set reproduces the
published weights of Tsang & Schultz (2019), another is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from broker_plugin.features.external import EXTERNAL_FEATURES
from broker_plugin.features.structure import STRUCTURE_FEATURES

AUXILIARY_FEATURES = ("mean", "std", *STRUCTURE_FEATURES, *EXTERNAL_FEATURES)
"""Names that :attr:`InputConventions.auxiliary` may hold: mean and standard deviation [mag], and the
features of :mod:`broker_plugin.features.structure` and of :mod:`broker_plugin.features.external`."""


@dataclass(frozen=True, slots=True)
class InputConventions:
    """Fold, lag and auxiliary features.

    Attributes
    ----------
    fold_unit : {"phase", "days"}
        Epochs are sorted by phase in [0, 1) (paper) or by ``t mod P`` in days (published code); the lags have
        that unit. The order is the same, the lags are not.
    phase_zero : {"minimum_light", "first_epoch", "time_origin"}
        Where phase 0 lies: at the faintest point of a three-harmonic curve through the folded magnitudes (so
        that the network need not learn every rotation of every shape), at the window's earliest epoch, or at
        time 0 of the time scale (published code). A shift of all times changes nothing under the first two.
    lag : {"backward", "forward"}
        ``t_j - t_(j-1)`` with the first 0 (paper) or ``t_(j+1) - t_j`` with the last 0 (published code).
    auxiliary : tuple of str
        Names out of :data:`AUXILIARY_FEATURES`, in the order in which the network takes them. The paper has
        mean magnitude, population standard deviation [mag] and log10 of the period [d].
    auxiliary_mean, auxiliary_scale : tuple of float
        Each feature enters the network as ``(feature - mean) / scale``; a missing one (NaN) as 0.
    auxiliary_clip : float or None
        Scaled features are cut at plus and minus this; None: not at all.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    fold_unit: Literal["phase", "days"]
    phase_zero: Literal["minimum_light", "first_epoch", "time_origin"]
    lag: Literal["backward", "forward"]
    auxiliary: tuple[str, ...]
    auxiliary_mean: tuple[float, ...]
    auxiliary_scale: tuple[float, ...]
    auxiliary_clip: float | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.auxiliary), len(self.auxiliary_mean), len(self.auxiliary_scale)}
        if len(lengths) != 1:
            msg = f"auxiliary, auxiliary_mean and auxiliary_scale differ in length: {sorted(lengths)}"
            raise ValueError(msg)
        unknown = [name for name in self.auxiliary if name not in AUXILIARY_FEATURES]
        if unknown:
            msg = f"auxiliary {unknown[0]!r} is not known; expected some of {', '.join(AUXILIARY_FEATURES)}"
            raise ValueError(msg)
        if self.auxiliary_clip is not None and not self.auxiliary_clip > 0:
            msg = f"auxiliary_clip must be positive, found {self.auxiliary_clip}"
            raise ValueError(msg)
        if not all(scale > 0 for scale in self.auxiliary_scale):
            msg = f"auxiliary_scale must be positive, found {self.auxiliary_scale}"
            raise ValueError(msg)


PUBLISHED_INPUT = InputConventions(
    fold_unit="days",
    phase_zero="time_origin",
    lag="forward",
    auxiliary=("mean", "std", "log10_period"),
    auxiliary_mean=(0.0, 0.0, 0.0),
    auxiliary_scale=(1.0, 1.0, 1.0),
)
"""What the published code does (github.com/bthtsang/DeepClassifierNoveltyDetection)."""

OUR_INPUT = InputConventions(
    fold_unit="phase",
    phase_zero="minimum_light",
    lag="backward",
    auxiliary=("std", "log10_period"),
    auxiliary_mean=(0.0, 0.0),
    auxiliary_scale=(1.0, 1.0),
)
"""The paper's text, without the mean magnitude and with aligned phases; training fills mean and scale."""
