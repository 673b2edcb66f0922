"""A worker that takes its time over each batch of windows, as one with a large network would.

``python -m tests.chaos.slow_scorer 5 run --stages score`` is ``broker-plugin run --stages score``, but for
five seconds more in each step, and a line in the log when one begins.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from broker_plugin.cli import main
from broker_plugin.runner.protocols import Message, State, StepResult
from broker_plugin.stages.score import ScoreStage
from tests.chaos.harness import Installation, Worker

STEP_BEGINS = "a slow step begins"


def slow_worker(
    installation: Installation, name: str, stages: str, seconds: float, **settings: str
) -> Worker:
    """Start such a worker in an installation, which ends it with the others."""
    logs = installation.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    worker = Worker(
        name,
        [sys.executable, "-m", "tests.chaos.slow_scorer", f"{seconds:g}", "run", "--stages", stages],
        installation.environment(name, **settings),
        logs / f"{len(installation.workers)}-{name}.log",
    )
    installation.workers.append(worker)
    return worker


def _take_longer(seconds: float) -> None:
    step = ScoreStage.step

    def slow_step(stage: ScoreStage, batch: Sequence[Message], state: State) -> StepResult:
        sys.stderr.write(f"{STEP_BEGINS}\n")
        sys.stderr.flush()
        time.sleep(seconds)
        return step(stage, batch, state)

    ScoreStage.step = slow_step  # type: ignore[method-assign]


if __name__ == "__main__":
    _take_longer(float(sys.argv.pop(1)))
    main()
