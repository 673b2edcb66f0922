"""The three stages as an operator starts them, each a process, and what is seen of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import CannotRunError
from benchmarks.processes import wait_for
from broker_plugin.app.conservation import Counts
from tests.chaos.counters import free_port, scrape

STAGES = ("ingest", "accumulate", "score")
_CONFIG = """\
prefix = "bench"

[kafka]
bootstrap = "{bootstrap}"

[topics]
partitions = 4

[accumulate]
state_directory = "{state}"
"""


@dataclass(slots=True)
class Stage:
    """A running stage."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    ready_seconds: float = 0.0

    @property
    def pid(self) -> int:
        """Return its process."""
        return self.process.pid


@dataclass(slots=True)
class Site:
    """Configuration, topics and processes of one installation. As a context, it leaves no process behind."""

    bootstrap: str
    folder: Path
    stages: dict[str, Stage] = field(default_factory=dict)

    def __enter__(self) -> Site:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(bootstrap=self.bootstrap, state=self.folder / "state")
        self.config.write_text(text)
        self._command("topics", "create")
        return self

    def __exit__(self, *_: object) -> None:
        for stage in self.stages.values():
            stage.process.terminate()
        for stage in self.stages.values():
            _wait_or_kill(stage.process)

    @property
    def config(self) -> Path:
        """Return the file."""
        return self.folder / "site.toml"

    def start(self, name: str) -> Stage:
        """Start a stage and wait until it is ready; what that took is kept."""
        port, log = free_port(), self.folder / f"{name}.log"
        environment = os.environ | {
            "BROKER_PLUGIN_METRICS__PORT": str(port),
            "BROKER_PLUGIN_RUNNER__INSTANCE_ID": name,
        }
        # Numbers of threads are the plugin's own affair.
        for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            environment.pop(variable, None)
        command = [
            sys.executable,
            "-m",
            "broker_plugin",
            "run",
            "--stages",
            name,
            "--config",
            str(self.config),
        ]
        began = time.monotonic()
        with log.open("ab") as stream:
            process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)  # noqa: S603
        stage = self.stages[name] = Stage(name, port, process, log)
        wait_for(lambda: self._ready(stage), lambda: f"{name} ready: {self._end_of(log)}", 120.0, every=0.02)
        stage.ready_seconds = time.monotonic() - began
        return stage

    def restart(self, name: str) -> Stage:
        """Stop a stage and start it again."""
        process = self.stages[name].process
        process.terminate()
        _wait_or_kill(process)
        return self.start(name)

    def counts(self) -> Counts:
        """Return all metrics of all stages, summed."""
        self.check()
        return scrape([stage.port for stage in self.stages.values()]) if self.stages else Counter()

    def check(self) -> None:
        """Raise CannotRunError if a stage has ended."""
        for stage in self.stages.values():
            if stage.process.poll() is not None:
                msg = f"{stage.name} ended with {stage.process.returncode}: {self._end_of(stage.log)}"
                raise CannotRunError(msg)

    def _ready(self, stage: Stage) -> bool:
        self.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{stage.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False

    def _command(self, *words: str) -> None:
        command = [sys.executable, "-m", "broker_plugin", *words, "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            msg = f"broker-plugin {' '.join(words)}: {done.stderr[-500:]}"
            raise CannotRunError(msg)

    @staticmethod
    def _end_of(log: Path) -> str:
        return log.read_text(errors="replace")[-800:]


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(20.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
