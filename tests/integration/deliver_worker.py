"""A worker of `deliver` for tests that kill one; arguments: bootstrap, configuration, state folder, name."""

from __future__ import annotations

import sys
from pathlib import Path

from broker_plugin.app.delivery import build_deliver_stages
from broker_plugin.config import load_config
from broker_plugin.errors import FencedError
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.stages.dead_letters import dead_letter_output
from tests.conftest import kafka_settings

SESSION_SECONDS = 3.0


def main(bootstrap: str, config_file: str, state_dir: str, name: str) -> None:
    """Deliver until there is nothing left, or until the crash point in the environment."""
    config = load_config(Path(config_file), {})
    (stage,) = build_deliver_stages(config)
    settings = RunnerSettings(
        config.prefix,
        name,
        state_dir=Path(state_dir),
        batch_records=15,
        batch_seconds=0.2,
        backoff_seconds=0.05,
    )
    bus = KafkaBus(kafka_settings(bootstrap, SESSION_SECONDS))
    with Runner(
        stage, bus, dead_letter_output(config.prefix), settings, output_topics=stage.output_topics
    ) as runner:
        runner.run_until_idle(60)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (
        FencedError
    ) as error:  # on a busy machine a transaction may time out: whoever supervises starts again
        sys.exit(error.exit_code)
