"""What a training run can be told; written into its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from training.periods import SEARCH


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of one run.

    Attributes
    ----------
    seed : int
        Of the split, the initial weights, the sampling, the outliers and the augmentation.
    periods : str
        ``"search"``, an npz file that a search left, or a period column of the data.
    mode : {"joint", "sequential"}
        All losses together, or half of the epochs the autoencoder alone and then the rest with z frozen.
    features : {"structure", "paper"}
        Auxiliary features: those of :mod:`broker_plugin.features.structure`, which enter the embedding, with
        log10 std and log10 P as z_a; or standard deviation and log10 P as z_a and nothing else.
    mixture : {"learned", "memberships"}
        See :class:`broker_plugin.model.conventions.MixtureConventions`.
    epochs, sequences_per_epoch, batch_size : int
        An epoch is ``sequences_per_epoch`` drawn windows, not a pass over the data.
    head_epochs : int
        Passes over the training windows that the layers above the encoder get first, alone; see
        :mod:`training.head_start`.
    balance : float
        Class c is drawn in proportion to ``n_c ** balance``; see :func:`training.sampling.draw_epoch`.
    prior_exponent : float
        The probabilities are for classes in proportion to ``n_c ** prior_exponent``: the logits are trained
        with the difference to the drawn shares added (Menon et al. 2021, ICLR). 1 favours accuracy, 0
        balanced accuracy.
    label_smoothing : float
        Part of each label that is spread over all classes.
    peak_rate, warmup_fraction, gradient_norm : float
        Adam's rate rises linearly over the first part of all steps and falls as a cosine to 1 %.
    average_momentum : float
        Of the running mean of the weights that is kept at the end; 0: the last weights.
    energy_weight : float
        lambda of the batch's mixture, with ``mixture="memberships"``.
    batch_covariance_floor : float
        Floor of the batch mixture in training, in the units of standardised z.
    mixture_weight : float
        Of the cross-entropy of the learned components' own posterior.
    compactness : float
        Of the mean distance of windows to their component, relative to that cross-entropy.
    outliers : float
        Simulated outliers made for each training window; see :mod:`training.outliers`. 0: none.
    outlier_share, outlier_weight : float
        How many are drawn for each drawn window; weight of their loss.
    weight_mode : {"constant", "relative", "inverse_error"}
        Weights of Eq. 1; see :func:`training.sampling.frame_weights`.
    phase_jitter : float
        Standard deviation of a random shift of the phase, periods. 1 or more is a random start phase.
    noise : float
        Largest added noise, in units of the window's scatter, in every second drawn window.
    bad_epochs : float
        Largest fraction of epochs, in the same windows, that are thrown off by several times the scatter.
    with_mean_magnitude : bool
        The paper's feature set: the mean magnitude enters z.
    photometric : str
        Columns of the data with commas, names of :data:`broker_plugin.features.external.EXTERNAL`: they and
        whether each is known enter the embedding, with ``features="paper"`` their values enter z, too.
    photometric_dropout : float
        Part of the windows in which they are hidden; see :func:`training.external.with_hidden`.
    embedding_size, hidden_size : int
        m; units of each GRU.
    gru_dropout, state_dropout, estimation_dropout, auxiliary_dropout, auxiliary_noise : float
        See :class:`training.network.Regularisation`.
    """

    seed: int = 1
    periods: str = SEARCH
    mode: Literal["joint", "sequential"] = "joint"
    features: Literal["structure", "paper"] = "structure"
    mixture: Literal["learned", "memberships"] = "learned"
    epochs: int = 40
    sequences_per_epoch: int = 6400
    batch_size: int = 128
    head_epochs: int = 12
    balance: float = 0.5
    prior_exponent: float = 1.0
    label_smoothing: float = 0.03
    peak_rate: float = 3e-3
    warmup_fraction: float = 0.03
    gradient_norm: float = 1.0
    average_momentum: float = 0.99
    energy_weight: float = 1e-3
    batch_covariance_floor: float = 0.05
    mixture_weight: float = 1.0
    compactness: float = 0.03
    outliers: float = 0.4
    outlier_share: float = 0.2
    outlier_weight: float = 0.03
    weight_mode: Literal["constant", "relative", "inverse_error"] = "relative"
    phase_jitter: float = 0.03
    noise: float = 0.3
    bad_epochs: float = 0.02
    with_mean_magnitude: bool = False
    photometric: str = ""
    photometric_dropout: float = 0.2
    embedding_size: int = 16
    hidden_size: int = 96
    gru_dropout: float = 0.25
    state_dropout: float = 0.3
    estimation_dropout: float = 0.3
    auxiliary_dropout: float = 0.25
    auxiliary_noise: float = 0.15

    @property
    def uses_outliers(self) -> bool:
        """Say whether outliers are made: only learned components have a place for them."""
        return self.mixture == "learned" and self.outliers > 0 and self.outlier_share > 0


PAPER = replace(
    TrainingSettings(),
    features="paper",
    mixture="memberships",
    head_epochs=0,
    prior_exponent=0.5,
    label_smoothing=0.0,
    average_momentum=0.0,
    outliers=0.0,
    noise=0.0,
    bad_epochs=0.0,
    weight_mode="inverse_error",
    with_mean_magnitude=True,
    state_dropout=0.0,
    estimation_dropout=0.5,
)
"""The paper's recipe on a schedule that two cores can afford: its features, losses, weights and dropout."""

RECIPES: Mapping[str, TrainingSettings] = {"ours": TrainingSettings(), "paper": PAPER}
"""Settings to start from, by name."""
