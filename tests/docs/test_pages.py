"""Every code block of README and docs does what the page says."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from broker_plugin import errors
from tests.docs.blocks import Terminals, environment_for, examples, reason_not_to_run
from tests.docs.command_lines import check_command_line, command_lines

ROOT = Path(__file__).resolve().parents[2]
_FOREIGN = ("runbooks", "deploy")  # commands for clusters, containers and incidents; their toml is checked
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_NEEDS_KAFKA = re.compile(r"^---\n(?:.*\n)*?kafka: true\n(?:.*\n)*?---\n")


@pytest.mark.kafka
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder a page, its blocks in order; a page that says so in its head gets a real Kafka."""
    blocks = examples(page)
    if page.parent.name in _FOREIGN:
        blocks = [block for block in blocks if block.region.lexemes["language"] == "toml"]
    if not blocks:
        return
    metrics_port = _free_port()
    stand_ins = {"127.0.0.1:9464": f"127.0.0.1:{metrics_port}"}
    if _NEEDS_KAFKA.match(page.read_text()):
        stand_ins["localhost:9092"] = request.getfixturevalue("kafka_bootstrap")
    extra = {"BROKER_PLUGIN_METRICS__PORT": str(metrics_port)}
    terminals = Terminals(tmp_path, environment_for(tmp_path, extra), stand_ins)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as of a script in this folder
    try:
        for block in blocks:
            block.namespace["terminals"] = terminals
            block.namespace["__name__"] = "__main__"
            block.evaluate()
    finally:
        problems = terminals.close()
    assert not problems, "\n".join(problems)


def test_reasons_not_to_run() -> None:
    """A block that is not run says why in words, and most blocks are run."""
    blocks = [b for page in PAGES if page.parent.name not in _FOREIGN for b in examples(page)]
    reasons = [reason for b in blocks if (reason := reason_not_to_run(b)) is not None]
    assert all(len(reason.split()) >= 2 for reason in reasons), reasons
    assert len(reasons) < len(blocks) / 3


def test_commands_that_are_not_run_exist() -> None:
    """Verbs and options of this version, at least: a renamed option is found here."""
    shells = ("bash", "sh", "console")
    blocks = [b for page in PAGES for b in examples(page) if b.region.lexemes["language"] in shells]
    lines = [line for block in blocks for line in command_lines(str(block.parsed))]
    assert len(lines) > 30
    for line in lines:
        check_command_line(line)


def test_exit_codes_on_the_page() -> None:
    """The page for bad days has a row for each exit code that an operator can meet."""
    page = (ROOT / "docs" / "how-to" / "recover.md").read_text()
    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert shown == {0} | {kind.exit_code for kind in kinds}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
