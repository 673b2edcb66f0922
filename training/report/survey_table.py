"""The table of what becomes of our models on other surveys."""

from __future__ import annotations

from training.report.results import Results
from training.report.table import Table
from training.text_tables import number


def survey_table(results: Results) -> Table:
    """Return accuracy, false novelties and found novelties of every model that was judged elsewhere."""
    rows = []
    for name in dict.fromkeys(name for model in results.models for name in model.elsewhere):
        for model in results.models:
            if name not in model.elsewhere:
                continue
            one = model.elsewhere[name]
            known, novelty = one.classification, one.novelty
            rows.append(
                (
                    f"{name}: {model.variant.words}",
                    str(known.n_windows if known else 0),
                    number(known.accuracy if known else None),
                    number(known.balanced_accuracy if known else None),
                    number(novelty.at_95.false_alarm_rate if novelty else None),
                    number(novelty.at_95.recall if novelty else None),
                    number(novelty.roc_auc if novelty else None),
                )
            )
    return Table(
        "On other surveys",
        "As they are, without calibration: windows of known classes, how many of them lie above the 95 % "
        "cut, and how many windows of other kinds do. Short models differ from 'our recipe, short' in one "
        "choice; what it does abroad is what augmentation and outliers are for.",
        ("data: model", "known", "accuracy", "balanced", "known above cut", "novel above cut", "ROC AUC"),
        rows,
    )
