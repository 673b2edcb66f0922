"""The compose file: valid, hardened, and made of commands, settings and files that there are."""

from __future__ import annotations

from typing import Any

import click
import pytest
import yaml

from broker_plugin.app.delivery import delivery_names
from broker_plugin.cli import main
from broker_plugin.config import load_config
from tests.deploy.tools import DEPLOY, run, tool

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("broker-plugin")}


def test_compose_itself_reads_it() -> None:
    """``docker compose config``: its own schema, references between services, interpolation."""
    done = run(tool("docker-compose"), "-f", DEPLOY / "compose.yaml", "config", "--quiet")
    assert done.returncode == 0, done.stderr


def test_all_that_an_installation_needs() -> None:
    """Kafka, a registry, topics before the plugin, a replay after it, Prometheus, Grafana."""
    assert {"kafka", "registry", "plugin", "prometheus", "grafana", "replay", "topics"} <= SERVICES.keys()
    assert OURS["plugin"]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert OURS["replay"]["depends_on"]["plugin"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_nothing_else(name: str) -> None:
    """Read-only root, no capabilities, no new privileges."""
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_port_is_open_to_the_network() -> None:
    """There is no TLS and no password here: every published port is on the loopback address."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_commands_and_settings_exist(name: str) -> None:
    """Each command is taken by the command line, each variable by the configuration."""
    words = list(OURS[name]["command"])
    group: click.Command = main
    while isinstance(group, click.Group):
        group = group.commands[words.pop(0)]
    assert group.make_context(name, words, resilient_parsing=False)
    config = load_config(None, OURS[name]["environment"])
    assert config.topics.partitions == 4
    assert config.metrics.address == "0.0.0.0"
    assert delivery_names(config) == ("deliver-novelties",)


def test_files_that_are_mounted_exist() -> None:
    """Relative paths are relative to the compose file."""
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    paths = [DEPLOY / mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(paths) >= 5
    assert [str(path) for path in paths if not path.exists()] == []


def test_prometheus_reads_the_rules_and_scrapes_the_plugin() -> None:
    """The pattern of rule files matches what lies in deploy/prometheus, and not their tests."""
    settings = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (pattern,) = settings["rule_files"]
    rules = list((DEPLOY / "prometheus").glob(pattern.rsplit("/", 1)[-1]))
    assert [rule.name for rule in rules] == ["broker-plugin.rules.yml"]
    targets = settings["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"plugin:{load_config(None, {}).metrics.port}"]
