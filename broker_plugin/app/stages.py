"""Stages built from a configuration."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from broker_plugin import __version__
from broker_plugin.annotate.changes import Margins
from broker_plugin.annotate.combine import CombineRule
from broker_plugin.annotate.compose import Provenance
from broker_plugin.app.catalogue import load_period_catalogue
from broker_plugin.catalogue.known import KnownStars
from broker_plugin.config import Config
from broker_plugin.decode.registry import RegistrySchemas
from broker_plugin.decode.schema_sources import BundledSchemas, DirectorySchemas, SchemaChain, SchemaSource
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.model import RuntimeName, bundle_path, open_scorer
from broker_plugin.period import PeriodSettings
from broker_plugin.period.digest import another_search
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.runner.protocols import Stage
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.combine import CombineStage
from broker_plugin.stages.ingest import IngestStage
from broker_plugin.stages.score import ScoreStage

logger = logging.getLogger(__name__)

STAGE_NAMES = ("ingest", "accumulate", "score", "combine")

OUTPUT_TOPICS = {
    "ingest": ("photometry", "dead-letters"),
    "accumulate": ("lightcurves", "dead-letters"),
    "score": ("classifications", "novelties", "dead-letters"),
    "combine": ("objects", "dead-letters"),
}
"""Topics, without the prefix, that each stage writes to."""

SHADOW = "shadow"
"""Stage that scores the same windows with another model, where ``shadow.bundle`` is set."""

_SHADOW_TOPICS = ("classifications", "novelties", "score-changelog")


def output_topics(config: Config, name: str) -> list[str]:
    """Return the topics that a stage writes to."""
    if name == SHADOW:
        return [*shadow_topics(config)[:2], config.topic("dead-letters")]
    return [config.topic(topic) for topic in OUTPUT_TOPICS[name]]


def shadow_topics(config: Config) -> list[str]:
    """Return the shadow's own topics; none without a shadow."""
    return [f"{config.shadow_prefix}.{name}" for name in _SHADOW_TOPICS] if config.shadow.bundle else []


def build_stages(
    config: Config, names: Sequence[str] | None = None, *, clock: Callable[[], float] = time.time
) -> list[Stage]:
    """Build stages in the order of the flow; without names all of :data:`STAGE_NAMES` that are enabled.

    Raises
    ------
    BundleError, InputError
        The model or the period catalogue cannot be used.
    """
    builders: dict[str, Callable[[], Stage]] = {
        "ingest": lambda: _ingest(config, clock),
        "accumulate": lambda: AccumulateStage(config.prefix, window_settings(config)),
        "score": lambda: _score(config, clock),
        "combine": lambda: CombineStage(
            config.prefix, CombineRule(config.combine.novel_p_value), __version__, clock=clock
        ),
        SHADOW: lambda: _score(config, clock, shadow=True),
    }
    if names is None:
        names = [name for name in STAGE_NAMES if name != "combine" or config.combine.enabled]
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


def known_stars(config: Config) -> KnownStars | None:
    """Return the configured catalogue, open; None without one."""
    chosen = config.catalogue
    if chosen.file is None:
        return None
    from broker_plugin.catalogue.catalogue import open_catalogue  # pyarrow: only where there is a catalogue

    return KnownStars(open_catalogue(chosen.file), chosen.radius_arcsec, chosen.use_periods)


def _score(config: Config, clock: Callable[[], float], *, shadow: bool = False) -> Stage:
    chosen = config.score
    path = bundle_path((config.shadow.bundle if shadow else None) or chosen.bundle)
    runtime: RuntimeName = "onnxruntime" if chosen.runtime == "onnx" else chosen.runtime
    threads = chosen.threads or os.cpu_count() or 1
    scorer = open_scorer(path, runtime, threads=threads, batch_size=chosen.batch_size)
    manifest = scorer.bundle.manifest
    if other := another_search(manifest.provenance.search_digest):
        logger.warning("model %s %s: %s", manifest.name, manifest.version, other)
    known = known_stars(config)
    return ScoreStage(
        config.shadow_prefix if shadow else config.prefix,
        scorer,
        Provenance(
            model_name=manifest.name,
            model_version=manifest.version,
            model_digest=scorer.bundle.digest,
            code_version=__version__,
            classes=tuple(manifest.classes),
            catalogue_name=None if known is None else known.catalogue.name,
            catalogue_digest=None if known is None else known.catalogue.digest,
        ),
        clock=clock,
        period_settings=PeriodSettings(min_days=chosen.period_min_days, max_days=chosen.period_max_days),
        catalogue=load_period_catalogue(chosen.period_catalogue) if chosen.period_catalogue else {},
        known_stars=known,
        name=SHADOW if shadow else "score",
        input_topic=config.topic("lightcurves"),
        dead_letter_prefix=config.prefix,
        publish=chosen.publish,
        margins=Margins(chosen.probability_margin, chosen.energy_margin, chosen.period_tolerance),
        in_use=not shadow,
    )
