"""The checkpoint of a training run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from broker_plugin.errors import InputError
from training.trainee import Trainee


class Checkpoint:
    """Every variable of model and optimiser, and the history, in one file that is replaced whole.

    Parameters
    ----------
    path : Path
    identity : str
        Of everything that decides the run; a checkpoint of another one is refused.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._identity = identity

    def exists(self) -> bool:
        """Say whether there is one."""
        return self._path.exists()

    def restore(self, model: Trainee) -> list[dict[str, float]]:
        """Set the model to the checkpoint, if there is one, and return its history.

        Raises
        ------
        InputError
            If it belongs to another run.
        """
        if not self._path.exists():
            return []
        with np.load(self._path, allow_pickle=False) as stored:
            if str(stored["identity"]) != self._identity:
                msg = (
                    f"{self._path}: belongs to a run with other settings or data; "
                    "give another --out, or remove it to start anew"
                )
                raise InputError(msg)
            for position, variable in enumerate(model.variables):
                variable.assign(stored[f"variable_{position}"])
            history: list[dict[str, float]] = json.loads(str(stored["history"]))
            return history

    def save(self, model: Trainee, history: list[dict[str, float]]) -> None:
        """Write beside the old checkpoint, then replace it."""
        values: dict[str, Any] = {
            f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(model.variables)
        }
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, identity=self._identity, history=json.dumps(history), **values)
        os.replace(partial, self._path)
