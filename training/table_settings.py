"""Settings of training on a table of features."""

from __future__ import annotations

from dataclasses import dataclass

from training.baselines.grids import GridName


@dataclass(frozen=True, slots=True)
class TableSettings:
    """How the table is read and the network trained.

    Attributes
    ----------
    label : str
        Column of classes.
    group : str
        Column of sources whose rows no split may part; empty: every row for itself.
    features : tuple of str
        Columns of numbers; empty: all that hold numbers only.
    novel : str
        The class that is never trained on.
    hidden_size : int
        Of the estimation network, tanh (paper: m).
    dropout, energy_weight, peak_rate : float
        lambda is the weight of the energy.
    epochs, batch_size, seed : int
    forest_grid : {"paper", "small", "one"}
    """

    label: str = "superclass"
    group: str = ""
    features: tuple[str, ...] = ()
    novel: str = "NOVEL"
    hidden_size: int = 16
    dropout: float = 0.5
    energy_weight: float = 1e-3
    peak_rate: float = 3e-3
    epochs: int = 60
    batch_size: int = 128
    seed: int = 1
    forest_grid: GridName = "small"
