"""A network run block by block: what it works on stays in the cache, and threads share the blocks."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from broker_plugin.model.network_output import NetworkOutput

Block = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Sequences and auxiliary features of some windows."""


class Blocks:
    """Runs a network over blocks of sequences.

    Parameters
    ----------
    run : callable
        Runs the network on one block; in several threads at once, if there are.
    size : int
        Sequences of a block, at most.
    threads : int
        That share the blocks; 0: one for each core. One block has one thread: its products are too small to
        be shared.
    """

    def __init__(self, run: Callable[[Block], NetworkOutput], size: int, threads: int) -> None:
        self._run = run
        self._size = size
        threads = threads or os.cpu_count() or 1
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "network") if threads > 1 else None

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`broker_plugin.model.runtime.Runtime`."""
        size = max(1, min(self._size, -(-len(sequence) // self._threads)))
        starts = range(0, len(sequence), size)
        blocks = [(sequence[at : at + size], auxiliary[at : at + size]) for at in starts]
        if len(blocks) == 1:
            return self._run(blocks[0])
        mapped = map if self._pool is None else self._pool.map
        outputs = list(mapped(self._run, blocks))
        return NetworkOutput(
            np.concatenate([one.z for one in outputs]),
            np.concatenate([one.gamma for one in outputs]),
            np.concatenate([one.reconstruction for one in outputs]),
        )
