"""Pictures for people: a page for each novelty, a summary of a run. matplotlib loads when a plot is drawn."""

from broker_plugin.plots.novelty import plot_novelty
from broker_plugin.plots.page import Picture, Table, write_summary_html
from broker_plugin.plots.summary import ScoredObject, plot_summary

__all__ = ["Picture", "ScoredObject", "Table", "plot_novelty", "plot_summary", "write_summary_html"]
