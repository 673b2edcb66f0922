"""Read light curves and catalogues of any survey into the one layout that training and evaluation read."""

from training.data.collect import CollectReport, collect_stars
from training.data.description import SurveyDescription, read_description

__all__ = ["CollectReport", "SurveyDescription", "collect_stars", "read_description"]
