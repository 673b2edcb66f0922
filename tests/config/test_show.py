"""What is printed of a configuration: loadable again, and without secrets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from broker_plugin.config import Config, load_config, render_toml, variable_name
from broker_plugin.config.secrets import MASK, is_secret, masked
from broker_plugin.errors import ConfigurationError
from broker_plugin.photometry import QualityCuts

SECRETS = {
    "BROKER_PLUGIN_KAFKA__OPTIONS": '{"security.protocol": "SASL_SSL", "sasl.username": "me"}',
    "BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD": "hunter2",
    "BROKER_PLUGIN_SOURCE__BOOTSTRAP": "survey:9092",
    "BROKER_PLUGIN_SOURCE__OPTIONS__SECURITY_PROTOCOL": "SSL",
    "BROKER_PLUGIN_SOURCE__OPTIONS__SSL_KEY_PEM": "hunter2",
    "BROKER_PLUGIN_INGEST__SCHEMA_REGISTRY_URL": "https://me:hunter2@registry:8081",
}


@pytest.mark.parametrize("explain", [True, False])
def test_printed_configuration_loads_to_the_same(tmp_path: Path, explain: bool) -> None:
    """Print, save, load: nothing is lost."""
    config = load_config(
        None,
        {
            "BROKER_PLUGIN_SOURCE__TOPICS": "a,b",
            "BROKER_PLUGIN_KAFKA__OPTIONS": '{"debug": "broker", "log.connection.close": false, "x": 1.5}',
            "BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY": 'odd "name"\\ä',
        },
    )
    path = tmp_path / "again.toml"
    path.write_text(render_toml(config, explain=explain), encoding="utf-8")
    assert load_config(path, {}) == config


def test_secrets_are_masked_wherever_a_configuration_is_shown() -> None:
    """Printed, in repr (tracebacks!) and in str."""
    config = load_config(None, SECRETS)
    for text in (render_toml(config), render_toml(config, explain=True), repr(config), str(config)):
        assert "hunter2" not in text
    assert render_toml(config).count(MASK) == 3


def test_secrets_are_masked_in_error_messages() -> None:
    """A password of a wrong type, an address that is no text."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(
            None,
            {
                "BROKER_PLUGIN_KAFKA__OPTIONS": '{"sasl.password": ["hunter2"]}',
                "BROKER_PLUGIN_INGEST__SCHEMA_DIRECTORYY": "hunter2",
            },
        )
    assert "kafka.options.sasl.password" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("sasl.password", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.client.secret", True),
        ("ssl.keystore.password", True),
        ("sasl.username", False),
        ("security.protocol", False),
        ("ssl.ca.location", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    """User names and locations help to find mistakes and are shown."""
    assert is_secret(name) is secret
    assert (masked(name, "value") == MASK) is secret


def test_every_key_is_explained_and_every_section_has_a_sentence() -> None:
    """--explain leaves no key without a meaning."""

    def check(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                assert field.annotation.__doc__
                check(field.annotation)
            else:
                assert field.description, name
                assert not name.endswith("_file"), "the suffix means: read the value from a file"

    check(Config)


def test_every_key_has_a_variable() -> None:
    """Each key's default, set through the environment, changes nothing: name and conversion are right."""

    def leaves(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, value in table.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, (*path, name))
            else:
                yield (*path, name), value

    found = list(leaves(tomllib.loads(render_toml(Config())), ()))
    assert len(found) > 30
    for path, value in found:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        environment = {variable_name(path): text}
        assert load_config(None, environment) == Config(), environment


def test_cut_that_is_switched_off(tmp_path: Path) -> None:
    """TOML has no null: "off" says so, in the file, in the environment, and in what is printed."""
    path = tmp_path / "site.toml"
    path.write_text('[ingest.cuts]\nsolar_system_arcsec = "off"\nmin_reliability = 0.5\nprograms = [1]\n')
    config = load_config(path, {})
    assert config.ingest.cuts.solar_system_arcsec is None
    assert config.ingest.cuts.min_reliability == 0.5
    assert config.ingest.cuts.programs == frozenset({1})
    path.write_text(render_toml(config))
    assert load_config(path, {}) == config
    variable = variable_name(("ingest", "cuts", "solar_system_arcsec"))
    assert load_config(None, {variable: "off"}).ingest.cuts.solar_system_arcsec is None


def test_cuts_are_those_of_the_photometry() -> None:
    """Same names, same defaults: the configuration cannot drift from what is applied."""
    assert QualityCuts(**Config().ingest.cuts.model_dump()) == QualityCuts()
