"""Photometric features and colours in training: from columns, some hidden, so that missing is learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.features.external import EXTERNAL
from broker_plugin.records.epoch import FloatArray


def chosen_names(text: str) -> tuple[str, ...]:
    """Return the names in a setting such as ``"gaia_bp_rp,wise_w_rp"``.

    Raises
    ------
    InputError
        For a name that is not known, or is there twice.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if name not in EXTERNAL or names.count(name) > 1]
    if wrong:
        msg = f"photometric {wrong[0]!r}; expected some of {', '.join(EXTERNAL)}, each once, with commas"
        raise InputError(msg)
    return names


def columns_of(
    external: Mapping[str, FloatArray], index: npt.NDArray[np.int64] | npt.NDArray[np.intp]
) -> dict[str, FloatArray]:
    """Return the rows of an index."""
    return {name: column[index] for name, column in external.items()}


def with_hidden(external: Mapping[str, FloatArray], share: float, seed: int) -> dict[str, FloatArray]:
    """Return the features with some of them hidden.

    A stream may run without a catalogue, or know half of the values of a star; a network and a mixture that
    have never seen that would take it for news. In ``share`` of the windows all are hidden, and in the others
    each by itself with half that chance.

    Parameters
    ----------
    external : mapping of str to ndarray, shape (n,)
    share : float
    seed : int
    """
    if not external or share == 0:
        return dict(external)
    rng = np.random.default_rng([seed, 0xCA7])
    n = len(next(iter(external.values())))
    all_hidden = rng.random(n) < share
    return {
        name: np.where(all_hidden | (rng.random(n) < share / 2), np.nan, external[name])
        for name in sorted(external)
    }


def borrowed(external: Mapping[str, FloatArray], count: int, seed: int) -> dict[str, FloatArray]:
    """Return the features of stars drawn at random: for simulated outliers, which have none of their own.

    Left out they would tell an outlier by what is missing.
    """
    rng = np.random.default_rng([seed, 0xB0])
    n = max((len(column) for column in external.values()), default=1)
    return columns_of(external, rng.integers(0, n, count))
