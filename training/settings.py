"""What a training run can be told; written into its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.periods import SEARCH


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of one run.

    Attributes
    ----------
    seed : int
        Of the split, the initial weights, the sampling and the augmentation.
    periods : str
        ``"search"``, an npz file that a search left, or a period column of the data.
    epochs, sequences_per_epoch, batch_size : int
        An epoch is ``sequences_per_epoch`` drawn windows, not a pass over the data.
    balance : float
        See :func:`training.sampling.draw_epoch`.
    peak_rate, warmup_fraction, gradient_norm : float
        Adam's rate rises linearly over the first part of all steps and falls as a cosine to 1 %.
    energy_weight : float
        lambda.
    batch_covariance_floor : float
        Floor of the batch mixture in training, in the units of standardised z.
    weight_mode : {"constant", "relative", "inverse_error"}
        Weights of Eq. 1; see :func:`training.sampling.training_arrays`.
    phase_jitter : float
        Standard deviation of a random shift of the phase, periods. 1 or more is a random start phase.
    noise : float
        Largest added noise, in units of the window's scatter.
    with_mean_magnitude : bool
        The paper's feature set: the mean magnitude enters z.
    embedding_size, hidden_size : int
        m; units of each GRU.
    """

    seed: int = 1
    periods: str = SEARCH
    epochs: int = 40
    sequences_per_epoch: int = 6400
    batch_size: int = 128
    balance: float = 0.5
    peak_rate: float = 3e-3
    warmup_fraction: float = 0.03
    gradient_norm: float = 1.0
    energy_weight: float = 1e-3
    batch_covariance_floor: float = 0.05
    weight_mode: Literal["constant", "relative", "inverse_error"] = "relative"
    phase_jitter: float = 0.03
    noise: float = 0.0
    with_mean_magnitude: bool = False
    embedding_size: int = 16
    hidden_size: int = 96
