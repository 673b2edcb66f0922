"""The bundle that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_plugin.config import Config

if TYPE_CHECKING:
    from broker_plugin.model import Bundle


def bundle_in_use(config: Config) -> Bundle:
    """Load and verify it.

    Raises
    ------
    BundleError
    """
    from broker_plugin.model import bundle_path, load_bundle

    return load_bundle(bundle_path(config.score.bundle))
