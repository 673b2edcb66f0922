"""``broker-plugin run`` with a transaction timeout longer than the session timeout; argument: seconds.

The configuration refuses that, because a partition's new owner would wait for the old one's transaction. The
attack on overlapping owners needs it.
"""

from __future__ import annotations

import os
import sys

from broker_plugin.app.live import Host, build_runners, kafka_bus, stop_on_signals
from broker_plugin.cli.logs import set_up_logging
from broker_plugin.config import load_config
from broker_plugin.metrics import Metrics


def main(seconds: str) -> None:
    """Run the accumulate stage until a signal."""
    config = load_config(None, os.environ)
    runner = config.runner.model_copy(update={"transaction_timeout_seconds": float(seconds)})
    config = config.model_copy(update={"runner": runner})
    set_up_logging(config.log)
    host = Host(build_runners(config, ["accumulate"], Metrics(), bus=kafka_bus(config), source=None))
    stop_on_signals(host)
    host.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
