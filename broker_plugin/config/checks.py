"""What no single section can tell: settings that contradict each other across the tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broker_plugin.config.delivery_checks import delivery_contradictions
from broker_plugin.config.root import Config
from broker_plugin.config.sections import (
    AccumulateConfig,
    CatalogueConfig,
    CombineConfig,
    OptionValue,
    SourceConfig,
)

Key = tuple[str, ...]
Finding = tuple[tuple[Key, ...], str]
"""The keys that a problem is about, the first of them the one to look at; and what is wrong."""

_PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def contradictions(config: Config) -> Iterator[Finding]:
    """Yield what is wrong between keys that are each right by themselves."""
    for check in (_own_topics, _idle_keys, _deadlines, _access, delivery_contradictions):
        yield from check(config)


def _own_topics(config: Config) -> Iterator[Finding]:
    """Find topics of ours among those of alerts: ingest would read our own output."""
    if config.source.bootstrap is not None and config.source.bootstrap != config.kafka.bootstrap:
        return
    own = {
        config.topic(name)
        for name in (
            *("photometry", "lightcurves", "changelog", "classifications", "novelties"),
            *("dead-letters", "redriven", "score-changelog", "objects", "combine-changelog"),
        )
    }
    taken = sorted(own & set(config.source.topics))
    if taken:
        yield (
            (("source", "topics"), ("prefix",)),
            f"{', '.join(taken)} is written by this installation (prefix {config.prefix!r}); "
            "expected topics of alerts",
        )


def _idle_keys(config: Config) -> Iterator[Finding]:
    """Find keys without effect: they were changed for a reason that is not met."""
    if config.source.nights != SourceConfig().nights and not config.source.nightly_topics:
        yield (
            (("source", "nights"), ("source", "nightly_topics")),
            f"source.nights = {config.source.nights} has no effect without source.nightly_topics",
        )
    if config.shadow.prefix is not None and config.shadow.bundle is None:
        yield (
            (("shadow", "prefix"), ("shadow", "bundle")),
            "shadow.prefix has no effect without shadow.bundle",
        )
    if config.shadow.bundle is not None and config.shadow_prefix == config.prefix:
        yield (
            (("shadow", "prefix"), ("prefix",)),
            f"shadow.prefix is that of the stages ({config.prefix!r}): both models would write to one topic",
        )
    if config.catalogue.file is None:
        for name in sorted(config.catalogue.model_fields_set - {"file"}):
            if getattr(config.catalogue, name) != getattr(CatalogueConfig(), name):
                yield (
                    (("catalogue", name), ("catalogue", "file")),
                    f"catalogue.{name} has no effect without catalogue.file",
                )
    if config.combine.novel_p_value != CombineConfig().novel_p_value and not config.combine.enabled:
        yield (
            (("combine", "novel_p_value"), ("combine", "enabled")),
            "combine.novel_p_value has no effect with combine.enabled = false",
        )
    changed = config.accumulate.rescore_after != AccumulateConfig().rescore_after
    if changed and config.accumulate.window == "paper":
        yield (
            (("accumulate", "rescore_after"), ("accumulate", "window")),
            'accumulate.rescore_after has no effect with accumulate.window = "paper" (disjoint windows)',
        )


def _deadlines(config: Config) -> Iterator[Finding]:
    """Find waits that last longer than the group waits for the worker."""
    limit = config.runner.max_poll_interval_seconds
    for key, seconds in (
        (("kafka", "timeout_seconds"), config.kafka.timeout_seconds),
        (("runner", "batch_seconds"), config.runner.batch_seconds),
    ):
        if seconds >= limit:
            yield (
                (key, ("runner", "max_poll_interval_seconds")),
                f"{'.'.join(key)} ({seconds:g}) must be below runner.max_poll_interval_seconds ({limit:g})",
            )


def _access(config: Config) -> Iterator[Finding]:
    """Find options of security that do not make a whole."""
    ours = {**config.kafka.options, **config.kafka.consumer_options}
    found = list(_whole(("kafka", "options"), ours))
    yield from found
    if config.source.bootstrap is not None or (config.source.options and not found):
        yield from _whole(("source", "options"), config.source_options)
    for name, output in config.outputs.items():
        yield from _whole(("outputs", name, "target", "options"), output.target.options)


def _whole(key: Key, options: Mapping[str, OptionValue]) -> Iterator[Finding]:
    where, protocol = ".".join(key), str(options.get("security.protocol", "plaintext")).upper()
    has_sasl = sorted(name for name in options if name.startswith("sasl."))
    has_ssl = sorted(name for name in options if name.startswith("ssl."))
    if has_sasl and not protocol.startswith("SASL_"):
        yield (
            (key,),
            f"{where}: {has_sasl[0]} has no effect with security.protocol = {protocol!r}; "
            "expected 'SASL_SSL' or 'SASL_PLAINTEXT'",
        )
    if has_ssl and not protocol.endswith("SSL"):
        yield (
            (key,),
            f"{where}: {has_ssl[0]} has no effect with security.protocol = {protocol!r}; "
            "expected 'SSL' or 'SASL_SSL'",
        )
    mechanism = str(options.get("sasl.mechanism", options.get("sasl.mechanisms", "GSSAPI"))).upper()
    if protocol.startswith("SASL_") and mechanism in _PASSWORD_MECHANISMS:
        missing = [name for name in ("sasl.username", "sasl.password") if name not in options]
        if missing:
            yield (
                (key,),
                f"{where}: sasl.mechanism = {mechanism!r} needs {' and '.join(missing)}; the password "
                f"comes from {_variable(key)}__SASL_PASSWORD, from a file that "
                f'{_variable(key)}__SASL_PASSWORD_FILE names, or from "sasl.password_file"',
            )


def _variable(key: Key) -> str:
    return "BROKER_PLUGIN_" + "__".join(key).upper()
