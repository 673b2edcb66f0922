"""The verbs of ``python -m training``."""

from training.cli.main import main

__all__ = ["main"]
