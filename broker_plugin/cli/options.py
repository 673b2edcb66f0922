"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from broker_plugin.config import Config, load_config

_F = TypeVar("_F", bound=Callable[..., Any])

EXISTING_PATH = click.Path(exists=True, path_type=Path)
NEW_PATH = click.Path(path_type=Path)


def _load(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Config:
    return load_config(value)


def config_option(function: _F) -> _F:
    """Add ``--config``; the command receives the loaded ``config``."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        envvar="BROKER_PLUGIN_CONFIG",
        callback=_load,
        help="TOML file; without it, the defaults and the environment's BROKER_PLUGIN_... variables.",
    )(function)
