"""The command line: one file a verb, and no thinking here; the work is done in the layers below."""

from broker_plugin.cli.main import main

__all__ = ["main"]
