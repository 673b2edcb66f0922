"""Order of epochs by time and by phase."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray


def stable_order(keys: FloatArray) -> npt.NDArray[np.intp]:
    """Return the stable sorting order of each row, shape (n, L).

    Where no two keys of a row are equal, every sort gives this order, and numpy's vectorised one does so in
    a quarter of the time.
    """
    order = np.argsort(keys, axis=1)
    ordered = np.take_along_axis(keys, order, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        order = np.argsort(keys, axis=1, kind="stable")
    return order
