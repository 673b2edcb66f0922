"""All tables of the report, in order."""

from __future__ import annotations

from training.report.class_tables import (
    classification_table,
    comparison_table,
    fold_table,
    part_tables,
    recall_table,
)
from training.report.novelty_tables import baseline_table, leave_one_out_table, novelty_table, p_value_table
from training.report.paper_table import table_2
from training.report.period_tables import method_table, recovery_table
from training.report.results import Results
from training.report.survey_table import survey_table
from training.report.table import Table


def all_tables(results: Results) -> list[Table]:
    """Return the tables in the order of the report, without the empty ones."""
    tables = [
        table_2(results),
        classification_table(results),
        recall_table(results),
        novelty_table(results),
        baseline_table(results),
        leave_one_out_table(results),
        comparison_table(results),
        survey_table(results),
        fold_table(results),
        p_value_table(results),
        *part_tables(results),
        recovery_table(results),
        method_table(results),
    ]
    return [table for table in tables if table.rows]
