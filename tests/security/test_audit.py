"""The audit's verdict: a silence is not a clean bill."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from typing import Any

import pytest

from tests.deploy.tools import DEPLOY

AUDIT = runpy.run_path(str(DEPLOY / "audit.py"))
SKIPPED = {
    "name": "six",
    "skip_reason": "Dependency not found on PyPI and could not be audited: six (1.17.0)",
}
CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
KNOWN = {
    "name": "pyyaml",
    "version": "5.3",
    "vulns": [{"id": "PYSEC-2021-142", "fix_versions": ["5.4"], "aliases": [], "description": ""}],
}


def test_what_could_not_be_looked_up_is_not_audited() -> None:
    """A mirror without vulnerability data: pip-audit skips all and succeeds; here nobody was asked."""
    assert AUDIT["judge"]([SKIPPED, SKIPPED]) == (0, [])


def test_a_known_vulnerability_is_named_with_its_cure() -> None:
    """One line each."""
    assert AUDIT["judge"]([SKIPPED, CLEAN, KNOWN]) == (2, ["pyyaml 5.3: PYSEC-2021-142, mended in 5.4"])


@pytest.mark.parametrize(
    ("dependencies", "words", "code", "told"),
    [
        ([CLEAN, KNOWN], [], 1, "PYSEC-2021-142"),
        ([CLEAN], [], 0, "1 of 1 packages audited by pypi, 0 problems known"),
        ([SKIPPED], [], 0, "NOT AUDITED"),
        ([SKIPPED], ["--require"], 3, "NOT AUDITED"),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: list[dict[str, Any]],
    words: list[str],
    code: int,
    told: str,
) -> None:
    """0 clean or unreachable, 1 vulnerable, 3 unreachable where an answer is demanded."""

    def pip_audit(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "pip_audit"]
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": dependencies}), "")

    monkeypatch.setattr(subprocess, "run", pip_audit)
    monkeypatch.setattr(sys, "argv", ["audit.py", *words])
    assert AUDIT["main"]() == code
    assert told in capsys.readouterr().out
