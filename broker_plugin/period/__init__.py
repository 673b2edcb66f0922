"""Period search: what a stream can know of a star's period without knowing its class."""

from broker_plugin.period.search import METHOD, find_period, find_periods
from broker_plugin.period.settings import PeriodSettings

__all__ = ["METHOD", "PeriodSettings", "find_period", "find_periods"]
