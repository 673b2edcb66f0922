"""The configuration: one TOML file, every key also an environment variable, every mistake named at once."""

from broker_plugin.config.load import load_config, variable_name
from broker_plugin.config.root import Config
from broker_plugin.config.show import digest, render_toml

__all__ = ["Config", "digest", "load_config", "render_toml", "variable_name"]
