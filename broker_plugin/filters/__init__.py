"""Which annotations somebody wants: clauses in TOML or in one line, checked before the first one comes.

A filter is a conjunction of clauses. What an annotation does not have (a period that is not significant, a
p-value of a model without calibration) passes no clause about it, and is told apart from what fails.
Everything here is pure, but for the reading of a watchlist file.
"""

from broker_plugin.filters.compact import parse_filter
from broker_plugin.filters.filter import Filter, Verdict, build_filter, unknown_classes
from broker_plugin.filters.news import Seen, is_news
from broker_plugin.filters.outcome import Outcome, outcome_of, seen_after
from broker_plugin.filters.spec import OF_ONE_BAND, FilterSpec
from broker_plugin.filters.trial import Trial
from broker_plugin.filters.watchlist import Watchlist, read_watchlist

__all__ = [
    "OF_ONE_BAND",
    "Filter",
    "FilterSpec",
    "Outcome",
    "Seen",
    "Trial",
    "Verdict",
    "Watchlist",
    "build_filter",
    "is_news",
    "outcome_of",
    "parse_filter",
    "read_watchlist",
    "seen_after",
    "unknown_classes",
]
