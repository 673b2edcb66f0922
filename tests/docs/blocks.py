"""The code blocks of a page, run as a reader would run them; Sybil finds them and says where one failed.

What is done with a block is said in its first line, where readers see it, too:

=====================================  ==================================================================
```` ```bash ````                      run in the page's folder, must succeed
```` ```bash title="Terminal 2" ````   run in the background until the page ends; SIGTERM must end it with 0
```` ```python ````                    run in this process; blocks of a page share their names
```` ```toml title="my.toml" ````      must pass check-config; written to that file (so is any titled block)
```` ```text title="Prints" ````       what the bash block before it printed; ``...`` stands for anything
```` ```json title="classification" `` validated against the newest schema of that record
```` ```... title="Not run: why" ````  shown only, with the reason
=====================================  ==================================================================

Any other kind of block but plain ``text`` is an error: nothing on a page is unchecked by accident.
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from broker_plugin.config import load_config
from tests.docs.json_examples import check_json

_INFO = re.compile(r"(?P<language>[\w+-]*)(?P<rest>[^\n]*)$\n", re.MULTILINE)
_TITLE = re.compile(r'\s*(?:title="([^"]*)")?\s*')
_NOT_RUN = "Not run: "
_FILE_NAME = re.compile(r"[\w-]+\.\w+")
_BACKGROUND = re.compile(r"Terminal \d")
_SECONDS_A_BLOCK = 300  # against a block that hangs; a busy machine may take any time over the others
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(slots=True)
class Terminals:
    """Where the blocks of one page run.

    Attributes
    ----------
    folder : Path
        The working directory of all of them.
    environment : mapping of str to str
    stand_ins : mapping of str to str
        Addresses on the page, and those that are theirs in this test.
    """

    folder: Path
    environment: Mapping[str, str]
    stand_ins: Mapping[str, str]
    printed: str = ""
    background: list[tuple[subprocess.Popen[str], Path]] = field(default_factory=list)

    def here(self, text: str) -> str:
        """Return the text with this test's addresses."""
        for shown, ours in self.stand_ins.items():
            text = text.replace(shown, ours)
        return text

    def run(self, script: str) -> None:
        """Run a script to its end; AssertionError with what it wrote if it fails."""
        with (self.folder / ".errors").open("w+") as errors:
            process = self._start(script, subprocess.PIPE, errors)
            self.printed, ended = self._end_of(process)
            errors.seek(0)
            told = [ended, self.printed, errors.read(), *(log.read_text() for _, log in self.background)]
        assert process.returncode == 0, "\n".join(told)

    def run_beside(self, script: str) -> None:
        """Start a script that goes on while the page does."""
        path = self.folder / f"terminal-{len(self.background)}.log"
        with path.open("w") as log:
            self.background.append((self._start(f"exec {script.strip()}", log, log), path))

    def _end_of(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """Wait for the end of a process, not longer than the others live; return what it printed, and how."""
        deadline = time.monotonic() + _SECONDS_A_BLOCK
        while True:
            try:
                printed, _ = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                dead = [other.poll() for other, _ in self.background if other.poll() is not None]
                if dead or time.monotonic() > deadline:
                    os.killpg(process.pid, signal.SIGKILL)
                    how = f"background processes ended with {dead}" if dead else "out of time"
                    return process.communicate()[0], how
            else:
                return printed, f"exit code {process.returncode}"

    def _start(self, script: str, stdout: Any, stderr: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.here(script)],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def close(self) -> list[str]:
        """End what runs in the background as Ctrl-C would; return what did not end well."""
        problems = []
        for process, log in self.background:
            _wait_until_it_listens(process)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(180)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
            if status != 0:
                problems.append(f"background process ended with {status}: {log.read_text()[-3000:]}")
        return problems


def _wait_until_it_listens(process: subprocess.Popen[str]) -> None:
    """Wait until a process handles SIGTERM, or has ended: while it starts, the signal would just kill it."""
    status, deadline = Path(f"/proc/{process.pid}/status"), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
        except OSError:  # no Linux, or it has just ended
            return
        if caught is None or int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.1)


def examples(page: Path) -> list[Example]:
    """Return the blocks of a page in their order; each can be evaluated."""
    document = Sybil(parsers=[_parse], path=str(page.parent)).parse(page)
    return list(document.examples())


def reason_not_to_run(example: Example) -> str | None:
    """Return the reason that a block gives for not being run."""
    comment = (
        f"# {_NOT_RUN.strip(': ')} by the tests of the docs: "  # where a title would not be shown: README
    )
    first_line = str(example.parsed).partition("\n")[0]
    for text, begin in ((example.region.lexemes["title"], _NOT_RUN), (first_line, comment)):
        if text.startswith(begin):
            return str(text.removeprefix(begin))
    return None


def _parse(document: Document) -> Iterable[Region]:
    for region in RawFencedCodeBlockLexer(_INFO)(document):
        rest = region.lexemes["rest"]
        match = _TITLE.fullmatch(rest)
        assert match is not None, f"{document.path}: a block may have a title and no more, found {rest!r}"
        region.lexemes["title"] = match[1] or ""
        region.parsed = region.lexemes["source"]
        region.evaluator = _evaluate
        yield region


def _evaluate(example: Example) -> None:
    if reason_not_to_run(example) is not None:
        return
    terminals: Terminals = example.namespace["terminals"]
    language, title = example.region.lexemes["language"], example.region.lexemes["title"]
    source = str(example.parsed)
    if _FILE_NAME.fullmatch(title):
        (terminals.folder / title).write_text(terminals.here(source))
    if language == "toml":
        _check_config(terminals, source)
    elif language == "json":
        check_json(source, title)
    elif language == "text" and title == "Prints":
        want = source.replace("\n...\n", "\n...")
        assert doctest.OutputChecker().check_output(want, terminals.printed, _FLAGS), terminals.printed
    elif language == "bash" and _BACKGROUND.fullmatch(title):
        terminals.run_beside(source)
    elif language == "bash":
        terminals.run(source)
    elif language == "python" and not _FILE_NAME.fullmatch(title):
        PythonEvaluator()(example)
    elif language not in ("text", "python"):
        msg = f"a block of {language or 'no language'!r}: nothing checks it; give it a title that says why"
        raise AssertionError(msg)


def _check_config(terminals: Terminals, source: str) -> None:
    path = terminals.folder / "checked.toml"
    path.write_text(terminals.here(source))
    # As check-config sees it on a machine that sets nothing but the passwords: those are in no file.
    sections = [
        name
        for name in ("kafka", "source")
        if "sasl" in tomllib.loads(source).get(name, {}).get("options", {})
    ]
    load_config(path, {f"BROKER_PLUGIN_{name.upper()}__OPTIONS__SASL_PASSWORD": "-" for name in sections})


def environment_for(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without settings of this machine, with this Python's commands first."""
    kept: dict[str, Any] = {k: v for k, v in os.environ.items() if not k.startswith("BROKER_PLUGIN_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "TMPDIR": str(folder), "MPLBACKEND": "agg", **extra}
