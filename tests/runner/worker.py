"""A worker process for the tests that kill one; arguments: bootstrap, prefix, state directory, name."""

from __future__ import annotations

import sys
from pathlib import Path

from broker_plugin.errors import FencedError
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.settings import RunnerSettings
from tests.conftest import kafka_settings
from tests.runner.counting import CountingStage, dead_letter_to

SESSION_SECONDS = 3.0


def main(bootstrap: str, prefix: str, state_dir: str, name: str) -> None:
    """Work until there is nothing left to do, or until the crash point in the environment."""
    bus = KafkaBus(kafka_settings(bootstrap, SESSION_SECONDS))
    settings = RunnerSettings(
        prefix, name, state_dir=Path(state_dir), batch_records=15, batch_seconds=0.2, backoff_seconds=0.05
    )
    with Runner(CountingStage(prefix), bus, dead_letter_to(prefix), settings) as runner:
        runner.run_until_idle(180)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FencedError as error:
        # On a busy machine a transaction may time out: whoever supervises starts again.
        sys.exit(error.exit_code)
