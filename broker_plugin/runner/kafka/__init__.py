"""The bus on Apache Kafka, and the only package that imports its client."""

from broker_plugin.runner.kafka.bus import KafkaBus
from broker_plugin.runner.kafka.options import missing_files, refused_options
from broker_plugin.runner.kafka.settings import KafkaSettings

__all__ = ["KafkaBus", "KafkaSettings", "missing_files", "refused_options"]
