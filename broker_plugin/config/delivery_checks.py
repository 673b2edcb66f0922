"""Whether filters, outputs and the model fit each other."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from broker_plugin.config.root import Config
from broker_plugin.filters import OF_ONE_BAND, unknown_classes
from broker_plugin.outputs.elasticc import load_taxonomy, shipped_taxonomy
from broker_plugin.runner.topics import plan_topics
from broker_plugin.stages.deliver import DELIVER_NAMES

Key = tuple[str, ...]


def delivery_contradictions(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield the keys, the first of them the one to look at, and what is wrong between them."""
    yield from _unknown_filters(config)
    yield from _shared_topics(config)
    yield from _whole_objects(config)
    if config.filters or config.outputs:
        classes = model_classes(config)
        if classes is not None:
            yield from _unknown_classes(config, classes)
            yield from _unmapped_classes(config, classes)


def model_classes(config: Config) -> tuple[str, ...] | None:
    """Return the classes that the model in use says it has; None where its manifest cannot be read.

    Loading the bundle, which a stage that scores does, tells what is wrong with it.
    """
    from broker_plugin.model import bundle_path

    manifest = bundle_path(config.score.bundle) / "manifest.json"
    try:
        classes = json.loads(manifest.read_text(encoding="utf-8"))["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tuple(str(name) for name in classes)


def _unknown_filters(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    for name, output in config.outputs.items():
        for wanted in output.filters:
            if wanted not in config.filters:
                known = ", ".join(config.filters) or "none"
                yield (
                    (("outputs", name, "filters"), ("filters", wanted)),
                    f"outputs.{name}.filters names {wanted!r}; there are filters: {known}",
                )


def _shared_topics(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Find topics with two writers: two formats in one topic would be readable by nobody."""
    reserved = {spec.name for spec in plan_topics(config.prefix)}
    reserved |= {config.topic(f"{name}-changelog") for name in DELIVER_NAMES.values()}
    if config.source.bootstrap in (None, config.kafka.bootstrap):
        reserved |= set(config.source_topics)
    writers = defaultdict(list)
    for name, output in config.outputs.items():
        for topic in output.topics(config.prefix, name):
            writers[topic].append(name)
    for topic, names in writers.items():
        key = ("outputs", names[0], "topic")
        if len(names) > 1:
            yield (
                (key, *(("outputs", name, "topic") for name in names[1:])),
                f"outputs {' and '.join(names)} would both write to topic {topic}; give one another topic",
            )
        elif topic in reserved:
            yield (key,), f"outputs.{names[0]} would write to {topic}, which the stages use"


def _whole_objects(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Find outputs of whole objects that would never send anything."""
    for name, output in config.outputs.items():
        if output.source != "objects":
            continue
        source = ("outputs", name, "source")
        if not config.combine.enabled:
            yield (
                (source, ("combine", "enabled")),
                f"outputs.{name}.source = 'objects' needs the stage combine, found combine.enabled = false",
            )
        for chosen in output.filters:
            spec = config.filters.get(chosen)
            of_one_band = [clause for clause in OF_ONE_BAND if getattr(spec, clause, None) is not None]
            if of_one_band:
                yield (
                    (("filters", chosen, of_one_band[0]), source),
                    f"filters.{chosen}.{of_one_band[0]} means a single band: an output with "
                    "source = 'objects' would never send anything",
                )


def _unknown_classes(config: Config, classes: tuple[str, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    for name, spec in config.filters.items():
        for problem in unknown_classes(spec, classes):
            yield (("filters", name, "classes"), ("score", "bundle")), f"filters.{name}.classes: {problem}"


def _unmapped_classes(config: Config, classes: tuple[str, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    for name, output in config.outputs.items():
        if output.format != "elasticc":
            continue
        taxonomy = shipped_taxonomy() if output.taxonomy is None else load_taxonomy(output.taxonomy)
        missing = taxonomy.missing(classes)
        if missing:
            yield (
                (("outputs", name, "taxonomy"), ("score", "bundle")),
                f"outputs.{name}.taxonomy has no classId for {', '.join(missing)} of the model",
            )
