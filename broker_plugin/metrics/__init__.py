"""What the plugin tells about itself: Prometheus metrics, the two probes, and the server that shows them.

Stages say what they measured as :class:`~broker_plugin.runner.protocols.Observation` values, the runner
hands them over after the commit, and :mod:`~broker_plugin.metrics.table` says what each one becomes. Only
this package imports prometheus_client.
"""

from broker_plugin.metrics.health import Health
from broker_plugin.metrics.registry import Metrics, ModelFacts
from broker_plugin.metrics.server import MetricsServer
from broker_plugin.metrics.table import METRICS, PREFIX, Metric

__all__ = ["METRICS", "PREFIX", "Health", "Metric", "Metrics", "MetricsServer", "ModelFacts"]
