"""The report of an experiment: one HTML file with its figures inside, the same as Markdown, and as JSON."""

from training.report.write import write_report

__all__ = ["write_report"]
