"""The paper's Table 2 with our figures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from training.report.results import ModelResults, Results
from training.report.table import Table
from training.reproduce.actions import Z_FEATURES
from training.reproduce.variants import (
    PAPER_CONDITIONS,
    PAPER_CONDITIONS_SEQUENTIAL,
    PAPER_JOINT,
    PAPER_SEQUENTIAL,
)
from training.text_tables import spread


def table_2(results: Results) -> Table:
    """Return the paper's Table 2 with our figures beside it."""
    columns = {
        "joint": (
            [results.named(PAPER_CONDITIONS)],
            [results.named(PAPER_JOINT)],
            results.joint,
        ),
        "sequential": (
            [results.named(PAPER_CONDITIONS_SEQUENTIAL)],
            [results.named(PAPER_SEQUENTIAL)],
            [],
        ),
    }
    found = {
        mode: [[model for model in models if model is not None] for models in parts]
        for mode, parts in columns.items()
    }
    rows: list[tuple[str, ...]] = [
        ("joint training, accuracy", "0.988 (0.991)", *(_accuracy(models) for models in found["joint"])),
        ("sequential, accuracy", "0.967 (0.966)", *(_accuracy(models) for models in found["sequential"])),
        ("random forest on z, accuracy", "0.992 (0.994)", *(_forest(models) for models in found["joint"])),
    ]
    paper = {
        ("joint", 95): ("0.885 (0.898)", "0.815 (0.957)", "0.848 (0.927)"),
        ("joint", 80): ("0.686 (0.700)", "0.941 (0.991)", "0.793 (0.821)"),
        ("sequential", 95): ("0.875 (0.896)", "0.778 (0.933)", "0.824 (0.914)"),
    }
    for (mode, percentile), published in paper.items():
        for name, of_paper in zip(("precision", "recall", "f1"), published, strict=True):
            words = "F1" if name == "f1" else name
            figures = (_cut(models, percentile, name) for models in found[mode])
            rows.append((f"{mode}, novelty at {percentile} %, {words}", of_paper, *figures))
    return Table(
        "Table 2 of Tsang & Schultz (2019)",
        "Theirs: ASAS-SN, in brackets with Gaia and WISE colours, which these data lack. Beside it, on these "
        "data: the paper's recipe under its own conditions (catalogue periods, split by sequence: windows of "
        "one star on both sides, so too good); the same recipe as a stream meets stars (periods found on "
        "each window, split by star); our recipe, likewise, with the standard deviation over the seeds. "
        "Precision depends on how many novel windows there are among all: judging by their figures about a "
        f"third in the paper, here {_novel_share(results)}.",
        ("", "paper", "its recipe and conditions", "its recipe, by star", "ours, by star"),
        rows,
    )


def _novel_share(results: Results) -> str:
    novelty = results.joint[0].evaluation.novelty
    if novelty is None:
        return "none"
    return f"{100 * novelty.n_novel / (novelty.n_novel + novelty.n_known):.0f} %"


def _accuracy(models: Sequence[ModelResults]) -> str:
    found = [model.evaluation.classification for model in models]
    return spread([one.accuracy for one in found if one is not None])


def _forest(models: Sequence[ModelResults]) -> str:
    found = [model.baselines[Z_FEATURES] for model in models if Z_FEATURES in model.baselines]
    return spread([one.classification.accuracy for one in found])


def _cut(models: Sequence[ModelResults], percentile: int, name: str) -> str:
    found = [model.evaluation.novelty for model in models]
    return spread([getattr(getattr(one, f"at_{percentile}"), name) for one in found if one is not None])
