"""Stages built from a configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from broker_plugin import __version__
from broker_plugin.annotate.compose import Provenance
from broker_plugin.app.catalogue import load_period_catalogue
from broker_plugin.config import Config
from broker_plugin.decode.registry import RegistrySchemas
from broker_plugin.decode.schema_sources import BundledSchemas, DirectorySchemas, SchemaChain, SchemaSource
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.model import RuntimeName, default_bundle_path, open_scorer
from broker_plugin.period import PeriodSettings
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.runner.protocols import Stage
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.ingest import IngestStage
from broker_plugin.stages.score import ScoreStage

STAGE_NAMES = ("ingest", "accumulate", "score")

OUTPUT_TOPICS = {
    "ingest": ("photometry", "dead-letters"),
    "accumulate": ("lightcurves", "dead-letters"),
    "score": ("classifications", "novelties", "dead-letters"),
}
"""Topics, without the prefix, that each stage writes to."""


def build_stages(
    config: Config, names: Sequence[str] = STAGE_NAMES, *, clock: Callable[[], float] = time.time
) -> list[Stage]:
    """Build stages in the order of the flow.

    Raises
    ------
    BundleError, InputError
        The model or the period catalogue cannot be used.
    """
    builders: dict[str, Callable[[], Stage]] = {
        "ingest": lambda: _ingest(config, clock),
        "accumulate": lambda: AccumulateStage(config.prefix, window_settings(config)),
        "score": lambda: _score(config, clock),
    }
    return [build() for name, build in builders.items() if name in names]


def _ingest(config: Config, clock: Callable[[], float]) -> Stage:
    sources: list[SchemaSource] = [BundledSchemas()]
    if config.ingest.schema_directory is not None:
        sources.append(DirectorySchemas(config.ingest.schema_directory))
    if config.ingest.schema_registry_url is not None:
        sources.append(RegistrySchemas(config.ingest.schema_registry_url))
    cuts = QualityCuts(**config.ingest.cuts.model_dump())
    return IngestStage(config.source_topics, config.prefix, cuts, schemas=SchemaChain(sources), clock=clock)


def window_settings(config: Config) -> WindowSettings:
    """Return when windows fall due."""
    return WindowSettings(
        kind=config.accumulate.window,
        rescore_after=config.accumulate.rescore_after,
        max_epochs=config.accumulate.max_epochs,
    )


def _score(config: Config, clock: Callable[[], float]) -> Stage:
    chosen = config.score
    path = default_bundle_path() if chosen.bundle == "default" else Path(chosen.bundle)
    runtime: RuntimeName = "tensorflow" if chosen.runtime == "tensorflow" else "onnxruntime"
    scorer = open_scorer(path, runtime, threads=chosen.threads or 0, batch_size=chosen.batch_size)
    manifest = scorer.bundle.manifest
    return ScoreStage(
        config.prefix,
        scorer,
        Provenance(
            model_name=manifest.name,
            model_version=manifest.version,
            model_digest=scorer.bundle.digest,
            code_version=__version__,
            classes=tuple(manifest.classes),
        ),
        clock=clock,
        period_settings=PeriodSettings(min_days=chosen.period_min_days, max_days=chosen.period_max_days),
        catalogue=load_period_catalogue(chosen.period_catalogue) if chosen.period_catalogue else {},
        input_topic=chosen.input_topic,
    )
