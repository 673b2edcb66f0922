"""The documentation is built as ``make docs`` does, and what readers get needs no network."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from broker_plugin.cli import main as plugin
from broker_plugin.config import Config, variable_name
from broker_plugin.config.sections import Section
from broker_plugin.metrics import METRICS, PREFIX

ROOT = Path(__file__).resolve().parents[2]

_REMOTE = re.compile(r"<(?:script|link|img|source|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_REMOTE_IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, warnings being errors."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    """Return a page as its reader finds it, tags taken out."""
    text = (site / name / "index.html").read_text()
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """No script, style, font or picture of another host: it reads the same in a closed network."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert [found for path in pages for found in _REMOTE.findall(path.read_text())] == []
    assert [
        found for path in site.rglob("*.css") for found in _REMOTE_IN_STYLE.findall(path.read_text())
    ] == []


def test_equations_are_drawn(site: Path) -> None:
    """None is left as its source, and each can be read aloud."""
    text = (site / "explanation" / "method" / "index.html").read_text()
    assert "arithmatex" not in text
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+"', text)) > 20


def test_every_key_of_the_configuration_is_there(site: Path) -> None:
    """With its environment variable."""
    text = page(site, "reference/configuration")

    def variables(section: type[Section], path: tuple[str, ...] = ()) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, Section):
                found += variables(inner, (*path, name))
            elif not hasattr(inner, "__origin__") or inner.__origin__ is not dict:
                found.append(variable_name((*path, name)))
        return found

    assert [name for name in variables(Config) if name not in text] == []


def test_every_metric_verb_and_field_is_there(site: Path) -> None:
    """The reference lacks nothing that the code has."""
    metrics = page(site, "reference/metrics")
    assert [name for name in METRICS if f"{PREFIX}{name}" not in metrics] == []
    commands = page(site, "reference/cli")
    for name, command in plugin.commands.items():
        assert f"broker-plugin {name}" in commands
        options = [o for p in command.params if isinstance(p, click.Option) and not p.hidden for o in p.opts]
        assert [option for option in options if option not in commands] == []
    schemas = page(site, "reference/schemas")
    for path in (ROOT / "schemas").glob("*/v1.avsc"):
        fields = [field["name"] for field in json.loads(path.read_text())["fields"]]
        assert [name for name in fields if name not in schemas] == []
    assert "find_period" in page(site, "reference/python/period")
