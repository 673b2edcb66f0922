"""The Dockerfile, as far as it can be judged without an engine; `make image-check` runs its steps."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.deploy.tools import DEPLOY, run, tool

ROOT = DEPLOY.parent
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def test_the_linter_has_nothing_to_say() -> None:
    """Hadolint with its default rules."""
    done = run(tool("hadolint"), DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_requirements_are_the_dependencies_without_extras() -> None:
    """What the image installs first is what the project declares; nothing of training or tests."""
    done = subprocess.run(
        [sys.executable, DEPLOY / "requirements.py", ROOT / "pyproject.toml"],
        capture_output=True,
        text=True,
        check=True,
    )
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert done.stdout.splitlines() == declared
    assert "tensorflow" not in done.stdout
    assert callable(runpy.run_path(str(DEPLOY / "requirements.py"))["main"])


def test_everything_that_is_copied_is_let_through() -> None:
    """A file that .dockerignore holds back fails the build, on somebody else's machine."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert source in allowed, f"COPY {source}: not in .dockerignore"
            assert (ROOT / source).exists()


def test_the_server_runs_without_rights() -> None:
    """The last stage ends as a numbered user, which Kubernetes' runAsNonRoot can check."""
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert last.index("USER 10001") > last.rindex("RUN ")
    assert Path(ROOT / "LICENSE").exists()
