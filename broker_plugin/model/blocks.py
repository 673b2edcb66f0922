"""What the runtimes of ``network.onnx`` share: opening it, and running it block by block."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import BundleError
from broker_plugin.model.network_output import NetworkOutput

Block = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Sequences and auxiliary features of some windows."""

OUTPUTS = ("z", "gamma", "reconstruction")
_INPUTS = ["auxiliary", "sequence"]


class BlockRuntime(ABC):
    """Runs ``network.onnx`` over blocks of sequences, which threads share.

    Parameters
    ----------
    path : Path
        The bundle's ``network.onnx``.
    threads : int
        That share the blocks; 0: one for each core. One block has one thread: its products are too small to
        be shared.

    Raises
    ------
    BundleError
        If the file is no network of ours.
    """

    library: ClassVar[str]
    """Name and version, for messages."""

    at_once: ClassVar[int]
    """Sequences of a block, at most: what a run works on stays in the processor's cache."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._threads = threads or os.cpu_count() or 1
        try:
            # From bytes: the digest was checked on what is read here, and a path could hold external data.
            found = self._open(path.read_bytes(), self._threads)
        except Exception as error:  # each library raises classes of its own, without a common root
            msg = f"{path}: {self.library} refuses the network: {error}"
            raise BundleError(msg) from error
        if sorted(found) != _INPUTS:
            msg = f"{path}: the inputs are {found}; expected 'sequence' and 'auxiliary'; export it again"
            raise BundleError(msg)
        self._pool = ThreadPoolExecutor(self._threads, "network") if self._threads > 1 else None

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`broker_plugin.model.runtime.Runtime`."""
        size = max(1, min(self.at_once, -(-len(sequence) // self._threads)))
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

    @abstractmethod
    def _open(self, network: bytes, threads: int) -> list[str]:
        """Open the network and return the names of its inputs."""

    @abstractmethod
    def _run(self, block: Block) -> NetworkOutput:
        """Run the network on one block; in several threads at once, if there are."""
