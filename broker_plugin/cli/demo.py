"""``demo``: a few seasons of a survey in a few minutes, and what came out of them against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.comparison import compare, latest, read_truth, score
from broker_plugin.cli.model_in_use import bundle_in_use
from broker_plugin.cli.offline_report import offline_rows
from broker_plugin.cli.options import NEW_PATH, config_option
from broker_plugin.cli.progress import progress_bar
from broker_plugin.cli.record_files import read_records
from broker_plugin.cli.replay import replay_offline
from broker_plugin.cli.subscribe import novelty_file_name
from broker_plugin.cli.tables import share, text_table
from broker_plugin.config import Config
from broker_plugin.plots import Picture, ScoredObject, Table, plot_novelty, plot_summary, write_summary_html
from broker_plugin.plots.summary import confusion
from broker_plugin.records.codec import annotation_from_record, novelty_from_record

if TYPE_CHECKING:
    from broker_plugin.app import OfflineSummary
    from broker_plugin.model.manifest import Manifest


@click.command()
@click.option(
    "--to", "out", type=NEW_PATH, required=True, help="Folder for alerts, results, plots and summary."
)
@click.option("--objects", "n_objects", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--nights", "n_nights", type=click.IntRange(min=1), default=1080, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--plots", "n_plots", type=click.IntRange(min=0), default=12, show_default=True)
@config_option
def demo(*, config: Config, out: Path, n_objects: int, n_nights: int, seed: int, n_plots: int) -> None:
    """Simulate ZTF alerts, run them through everything, and compare with the truth. Needs no Kafka.

    Leaves in the folder: the alerts and their truth table, the annotations (Avro and JSON lines), a plot of
    each of the most extreme novelties, and summary.html with all the figures.
    """
    from broker_plugin.simulate.generate import simulate
    from broker_plugin.simulate.settings import demo_settings

    # Named after what is in it: archives of an earlier demo with other numbers must not be replayed.
    alerts = out / f"alerts_{n_objects}_objects_{n_nights}_nights_seed_{seed}"
    settings = replace(demo_settings(seed), n_objects=n_objects, n_nights=n_nights)
    with progress_bar("simulating", "nights") as advance:
        simulated = simulate(settings, alerts, progress=advance)
    summary = replay_offline([alerts], config, out)

    manifest = bundle_in_use(config).manifest
    records = read_records(out / "classifications.avro", ("classification",))
    annotations = latest(annotation_from_record(record) for _, record in records)
    scored = compare(annotations, read_truth(simulated.truth_path), manifest.classes)
    rows = [("objects", f"{simulated.objects:,}"), *offline_rows(summary), *_score_rows(scored)]
    by_truth = _rows_by_truth(scored, manifest.classes)
    click.echo(text_table(("", ""), rows))
    click.echo("\n" + text_table(_COLUMNS, by_truth))

    pictures = _draw(out, scored, manifest, _headlines(simulated.objects, summary, scored), n_plots)
    write_summary_html(
        out / "summary.html",
        title="Variable stars in a simulated survey",
        introduction=(
            f"{simulated.objects} simulated objects over {n_nights} nights, seed {seed}. Each light curve "
            "(one object in one band) counts once, with its last annotation. Classes and novelty come from "
            "the shipped model, which was trained on real stars of another survey."
        ),
        tables=[Table("What happened", ("", ""), rows), Table("By true class", _COLUMNS, by_truth)],
        pictures=pictures,
    )
    click.echo(f"\nsummary: {out / 'summary.html'}")


_COLUMNS = ("truth", "light curves", "right class", "called novel", "most frequent answer")


def _score_rows(scored: list[ScoredObject]) -> list[tuple[str, str]]:
    scores = score(scored)
    rows = [
        ("light curves of known classes: right class", share(scores.right, scores.known)),
        ("  called novel", share(scores.false_novel, scores.known)),
        ("light curves of unseen kinds: called novel", share(scores.found, scores.unseen)),
    ]
    if scores.rank is not None:
        rows.append(("unseen kind above known class in energy (AUC)", f"{scores.rank:.3f}"))
    return rows


def _headlines(n_objects: int, summary: OfflineSummary, scored: list[ScoredObject]) -> dict[str, str]:
    """Return the few figures that fit into the picture."""
    scores = score(scored)
    return {
        "objects": f"{n_objects:,}",
        "alerts": f"{summary.alerts:,}",
        "windows of 200 epochs": f"{summary.total('windows_emitted_total'):,}",
        "known classes: right": share(scores.right, scores.known),
        "known classes: called novel": share(scores.false_novel, scores.known),
        "unseen kinds: called novel": share(scores.found, scores.unseen),
        "area under the ROC curve": "-" if scores.rank is None else f"{scores.rank:.3f}",
        "alerts per second": f"{summary.alerts / max(summary.seconds, 1e-9):,.0f}",
    }


def _rows_by_truth(scored: list[ScoredObject], classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return a row for each class and each unseen kind."""
    rows, columns, matrix = confusion(scored, classes)
    table: list[tuple[str, ...]] = []
    for name, counts in zip(rows, matrix, strict=True):
        own = [item for item in scored if item.truth == name]
        right = share(sum(item.predicted == name for item in own), len(own)) if name in classes else "-"
        novel = share(sum(item.novel for item in own), len(own))
        table.append((name, str(len(own)), right, novel, columns[int(counts.argmax())]))
    return table


def _draw(
    out: Path, scored: list[ScoredObject], manifest: Manifest, counts: dict[str, str], n_plots: int
) -> list[Picture]:
    """Draw the summary and the most extreme novelties; return them with captions."""
    pictures = []
    if scored:
        path = out / "summary.png"
        plot_summary(
            scored,
            manifest.classes,
            manifest.thresholds.novel,
            counts,
            path,
            title="Simulated survey against the truth",
        )
        pictures.append(Picture(path, "Truth against answer, energies, and what happened."))
    truth = {(item.object_id, item.band): item.truth for item in scored}
    novelties = [
        novelty_from_record(record) for _, record in read_records(out / "novelties.avro", ("novelty",))
    ]
    told = {(n.annotation.object_id, n.annotation.band): n for n in novelties}
    last = {key: n for key, n in told.items() if n.annotation.novel and not n.annotation.withdrawn}
    extreme = sorted(last.items(), key=lambda item: item[1].annotation.energy, reverse=True)[:n_plots]
    for (object_id, band), novelty in extreme:
        path = out / "plots" / novelty_file_name(novelty.annotation)
        plot_novelty(novelty, path)
        true = truth.get((object_id, band), "unknown")
        pictures.append(Picture(path, f"{object_id} in {band}; truth: {true}"))
    return pictures
