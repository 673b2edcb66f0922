"""What one run of the network gives, whichever runtime ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class NetworkOutput:
    """Outputs of the network for n sequences.

    Attributes
    ----------
    z : ndarray, shape (n, l)
        Embedding, the two reconstruction features, the scaled auxiliary features.
    gamma : ndarray, shape (n, K)
        Class probabilities, the memberships of the mixture.
    reconstruction : ndarray, shape (n, L)
        Of the normalised magnitudes, in the order of the fold.
    """

    z: npt.NDArray[np.floating[Any]]
    gamma: npt.NDArray[np.floating[Any]]
    reconstruction: npt.NDArray[np.floating[Any]]
