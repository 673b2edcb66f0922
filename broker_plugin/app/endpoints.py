"""The HTTP server of a process, built from its section of the configuration."""

from __future__ import annotations

from broker_plugin.app.http_security import server_context, token_check
from broker_plugin.config.sections import MetricsConfig
from broker_plugin.metrics import Metrics, MetricsServer


def start_http(section: MetricsConfig, metrics: Metrics) -> MetricsServer | None:
    """Serve the metrics and the two probes as configured; None if that is switched off.

    Raises
    ------
    ConfigurationError
        The address cannot be bound, or the certificate cannot be used.
    """
    if not section.enabled:
        return None
    return MetricsServer(
        metrics,
        section.address,
        section.port,
        live=metrics.health.stuck,
        ready=metrics.health.unready,
        ssl_context=server_context(section),
        admits=token_check(section),
    )
