"""Every choice in which the paper, its published code and this package differ, as named fields.

A bundle's manifest carries one :class:`Conventions`; network builder, mixture and scorer read it. Sources:
Tsang & Schultz (2019, ApJL 877, L14), its code (github.com/bthtsang/DeepClassifierNoveltyDetection) and
Zong et al. (2018, ICLR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from broker_plugin.features.conventions import OUR_INPUT, PUBLISHED_INPUT, InputConventions

CLASSES = ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")
"""The eight superclasses of Tsang & Schultz (2019) in index order; mixture component k belongs to class k."""


@dataclass(frozen=True, slots=True)
class NetworkConventions:
    """Shape and variant of the network.

    Attributes
    ----------
    sequence_length, hidden_size, embedding_size, n_classes : int
        Epochs, units of each GRU, m, K.
    gru_reset_after : bool
        True: the reset gate acts on the recurrent product, two biases (cuDNN, Keras 3). False: it acts on the
        state before the product, one bias (published weights).
    recurrent_activation : {"sigmoid", "hard_sigmoid_0.2"}
        Of the gates; the latter is ``clip(0.2 x + 0.5, 0, 1)``, Keras 2's ``hard_sigmoid`` (that of Keras 3
        has slope 1/6).
    dropout_after : {"first_encoder_gru", "both_encoder_grus"}
        Paper's text, published code. Matters in training only.
    cosine_feature : {"cosine", "half_one_minus_cosine"}
        Second feature of Eq. 2: similarity (paper) or half the distance (published code).
    reconstruction_epsilon : float
        Added to both denominators of Eq. 2.
    auxiliary_in_z : int or None
        How many of the auxiliary features, the first ones, are z_a; None: all (paper).
    auxiliary_hidden : tuple of int
        Sizes of dense SiLU layers through which all auxiliary features enter the embedding beside the
        encoder's last state; empty: they do not (paper).
    estimation_size : int or None
        Hidden units of the estimation network; None: m (paper).
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    sequence_length: int
    hidden_size: int
    embedding_size: int
    n_classes: int
    gru_reset_after: bool
    recurrent_activation: Literal["sigmoid", "hard_sigmoid_0.2"]
    dropout_after: Literal["first_encoder_gru", "both_encoder_grus"]
    cosine_feature: Literal["cosine", "half_one_minus_cosine"]
    reconstruction_epsilon: float
    auxiliary_in_z: int | None = None
    auxiliary_hidden: tuple[int, ...] = ()
    estimation_size: int | None = None


@dataclass(frozen=True, slots=True)
class MixtureConventions:
    """The Gaussian mixture over z.

    Attributes
    ----------
    normaliser : {"paper", "code"}
        Eq. 5: ``sqrt((2 pi)^l det)``, or ``sqrt(2 pi det)``, lower by a constant that keeps every rank.
    covariance_floor : float
        Added to the diagonal of each covariance when the mixture is fitted, in the units of the standardised
        z where ``standardise_z``; a stored covariance already contains it.
    standardise_z : bool
        The mixture lives on ``(z - mean) / scale`` with the mean and scale stored beside it. Without it a
        dimension of z that training shrinks below the floor stops counting.
    estimator : {"memberships", "learned"}
        Whence the frozen mixture: computed once from z and gamma of the training windows (Zong et al. 2018,
        Eq. 5), or the components that the network was trained against, with unit variance in the embedding.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    normaliser: Literal["paper", "code"]
    covariance_floor: float
    standardise_z: bool
    estimator: Literal["memberships", "learned"] = "memberships"


@dataclass(frozen=True, slots=True)
class Conventions:
    """Everything needed to turn a window and a period into probabilities and an energy."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    input: InputConventions
    network: NetworkConventions
    mixture: MixtureConventions

    @property
    def z_size(self) -> int:
        """Return l: the embedding, two reconstruction features, z_a."""
        return self.network.embedding_size + 2 + self.auxiliary_in_z

    @property
    def auxiliary_in_z(self) -> int:
        """Return the number of auxiliary features that are part of z."""
        within = self.network.auxiliary_in_z
        return len(self.input.auxiliary) if within is None else within

    def __post_init__(self) -> None:
        if not 0 <= self.auxiliary_in_z <= len(self.input.auxiliary):
            msg = (
                f"network.auxiliary_in_z is {self.auxiliary_in_z}; expected at most the "
                f"{len(self.input.auxiliary)} features of input.auxiliary"
            )
            raise ValueError(msg)


PUBLISHED_CODE = Conventions(
    input=PUBLISHED_INPUT,
    network=NetworkConventions(
        sequence_length=200,
        hidden_size=96,
        embedding_size=16,
        n_classes=8,
        gru_reset_after=False,
        recurrent_activation="hard_sigmoid_0.2",
        dropout_after="both_encoder_grus",
        cosine_feature="half_one_minus_cosine",
        reconstruction_epsilon=1e-3,
    ),
    mixture=MixtureConventions(normaliser="code", covariance_floor=1e-4, standardise_z=False),
)
"""The value set that reproduces the published weights."""

OURS = Conventions(
    input=OUR_INPUT,
    network=NetworkConventions(
        sequence_length=200,
        hidden_size=96,
        embedding_size=16,
        n_classes=8,
        gru_reset_after=True,
        recurrent_activation="sigmoid",
        dropout_after="first_encoder_gru",
        cosine_feature="cosine",
        reconstruction_epsilon=1e-6,
    ),
    # A tenth of the standard deviation of all training stars: keeps the covariance of a class of 100 windows
    # invertible in 20 dimensions, and no dimension can collapse onto it and dominate.
    mixture=MixtureConventions(normaliser="paper", covariance_floor=1e-2, standardise_z=True),
)
"""The paper's text with a standardised z; training fills the scaling of the auxiliary features."""
