"""From a configuration to running stages: live beside a Kafka, or offline in this process."""

from broker_plugin.app.offline import OfflineSummary, offline_replay
from broker_plugin.app.stages import STAGE_NAMES, build_stages

__all__ = ["STAGE_NAMES", "OfflineSummary", "build_stages", "offline_replay"]
