"""Which topics there must be, and whether they are as they must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from broker_plugin.errors import ConfigurationError, TopicError
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.commands import CREATE_COMMAND, delete_group, delete_topic, set_topic_config
from broker_plugin.runner.protocols import Partition, Stage

_DAY_MS = 86_400_000


def plan_topics(
    prefix: str,
    partitions: int = 8,
    *,
    replication: int | None = None,
    common_config: Mapping[str, str] | None = None,
) -> list[TopicSpec]:
    """Return the topics of an installation.

    Parameters
    ----------
    prefix : str
    partitions : int
        Of photometry, which bounds how many workers can share the state; the changelog has as many.
    replication : int, optional
        Copies of each partition; by default the cluster's own choice.
    common_config : mapping of str to str, optional
        Settings added to every topic, for instance ``min.insync.replicas``.
    """
    common = dict(common_config or {})

    def spec(name: str, count: int, config: Mapping[str, str]) -> TopicSpec:
        return TopicSpec(f"{prefix}.{name}", count, {**common, **config}, replication)

    kept = {"retention.ms": str(30 * _DAY_MS)}
    # Small segments: compaction never touches the active one, and a restore reads it all.
    state = {
        "cleanup.policy": "compact",
        "segment.bytes": str(128 << 20),
        "min.cleanable.dirty.ratio": "0.3",
        "delete.retention.ms": str(7 * _DAY_MS),
    }
    return [
        spec("photometry", partitions, {"retention.ms": str(7 * _DAY_MS)}),
        spec("lightcurves", partitions, {"retention.ms": str(7 * _DAY_MS)}),
        spec("changelog", partitions, state),
        spec("score-changelog", partitions, state),
        spec("combine-changelog", partitions, state),
        spec("classifications", partitions, kept),
        spec("novelties", 1, kept),
        spec("objects", partitions, kept),
        spec("dead-letters", 1, kept),
        spec("redriven", 1, {"cleanup.policy": "compact"}),
        # How far each archive is loaded, one key a file: in the transactions of `bootstrap`.
        spec("bootstrapped", 1, {"cleanup.policy": "compact"}),
        # A person's work, one key a label: compaction keeps every one for ever, age would not.
        spec("labels", 1, {"cleanup.policy": "compact"}),
    ]


def compare_topics(
    wanted: Sequence[TopicSpec],
    counts: Mapping[str, int | None],
    configs: Mapping[str, Mapping[str, str]],
    address: str,
) -> list[str]:
    """Return what is wrong with the topics that there are, one line each with the command that mends it.

    Parameters
    ----------
    wanted : sequence of TopicSpec
    counts : mapping of str to int or None
        Partitions found, None for a topic that does not exist.
    configs : mapping of str to mapping
        Settings found, of the topics that exist.
    address : str
        Where the cluster is, for the commands.
    """
    problems = []
    for spec in wanted:
        found = counts.get(spec.name)
        if found is None:
            problems.append(f"topic {spec.name} does not exist: run '{CREATE_COMMAND}'")
            continue
        if found != spec.partitions:
            problems.append(
                f"topic {spec.name} has {found} partitions, expected {spec.partitions} (topics.partitions): "
                "mend the setting if it is wrong; a topic that was altered while live has its objects in two "
                f"places: delete it ({delete_topic(address, spec.name)}) and run '{CREATE_COMMAND}'"
            )
        policy = configs.get(spec.name, {}).get("cleanup.policy")
        wanted_policy = spec.config.get("cleanup.policy", "delete")
        if policy != wanted_policy:
            problems.append(
                f"topic {spec.name} has cleanup.policy={policy}, expected {wanted_policy}: "
                + set_topic_config(address, spec.name, "cleanup.policy", wanted_policy)
            )
    return problems


def verify_topics(bus: Bus, wanted: Sequence[TopicSpec]) -> list[str]:
    """Look at the topics and return :func:`compare_topics` of them."""
    counts = bus.partition_counts([spec.name for spec in wanted])
    configs = {name: bus.topic_config(name) for name, count in counts.items() if count is not None}
    return [*compare_topics(wanted, counts, configs, bus.address), *_truncated(bus, wanted, counts)]


def _truncated(bus: Bus, wanted: Sequence[TopicSpec], counts: Mapping[str, int | None]) -> Iterator[str]:
    """Yield a line for each compacted topic that has lost its beginning: compaction alone never moves it."""
    for spec in wanted:
        if spec.config.get("cleanup.policy") != "compact":
            continue
        firsts = [bus.offsets(Partition(spec.name, number))[0] for number in range(counts[spec.name] or 0)]
        if any(firsts):
            lost = ", ".join(
                f"{number} begins at offset {first}" for number, first in enumerate(firsts) if first
            )
            yield (
                f"topic {spec.name} has lost records (partition {lost}, expected 0): no worker runs on it; "
                f"delete it ({delete_topic(bus.address, spec.name)}), run '{CREATE_COMMAND}' and rebuild as "
                "a worker's message says"
            )


def partitions_note(count: int) -> str:
    """Return what is committed with the offsets of a stage with state: its state is of so many partitions."""
    return f"partitions={count}"


def check_layout(bus: Bus, stage: Stage, group: str, count: int) -> None:
    """Refuse state that was made when its topics had another number of partitions.

    Keys have moved since, and left their state behind: neither the topics nor the configuration can tell, if
    somebody has altered all of them alike.

    Raises
    ------
    TopicError
    """
    (source,) = stage.input_topics
    notes = bus.notes(group, [Partition(source, number) for number in range(count)])
    others = sorted(set(notes.values()) - {partitions_note(count)})
    if not others:
        return
    assert stage.changelog_topic is not None
    cure = "; ".join(
        [
            delete_topic(bus.address, source),
            delete_topic(bus.address, stage.changelog_topic),
            delete_group(bus.address, group),
            CREATE_COMMAND,
        ]
    )
    msg = (
        f"the state of stage {stage.name} was made with {', '.join(others)} of {source}, which has {count} "
        "now: objects have changed places and left their state behind, and Kafka takes no partitions away "
        f"again. Stop all workers and begin anew: {cure}; then let ingest read the alerts again, or replay "
        "the nights"
    )
    raise TopicError(msg)


def refuse_new(partitions: Sequence[Partition], counts: Mapping[str, int | None]) -> None:
    """Refuse partitions that were added while a stage with state runs.

    Parameters
    ----------
    partitions : sequence of Partition
        Those that were assigned.
    counts : mapping of str to int
        How many each topic had when the stage started.

    Raises
    ------
    TopicError
    """
    for partition in partitions:
        if partition.partition >= (counts[partition.topic] or 0):
            msg = (
                f"partitions were added to {partition.topic}, which had {counts[partition.topic]}: objects "
                "change places and leave their state behind. Stop ingest, too; a new start says what to do"
            )
            raise TopicError(msg)


def create_missing(bus: Bus, wanted: Sequence[TopicSpec]) -> list[str]:
    """Create the topics that do not exist; return their names."""
    counts = bus.partition_counts([spec.name for spec in wanted])
    missing = [spec for spec in wanted if counts[spec.name] is None]
    bus.create_topics(missing)
    return [spec.name for spec in missing]


def require_topics(bus: Bus, names: Sequence[str]) -> None:
    """Raise TopicError for the first topic that does not exist."""
    for name, count in bus.partition_counts(names).items():
        if count is None:
            msg = f"topic {name} does not exist: run '{CREATE_COMMAND}', or mend the prefix"
            raise TopicError(msg)


def check_stage_topics(bus: Bus, source_bus: Bus, stage: Stage, output_topics: Sequence[str]) -> None:
    """Refuse to start a stage on topics that would lose its records or its state.

    Raises
    ------
    TopicError
        A topic is missing, or the changelog is not compacted or not partitioned as the input is.
    ConfigurationError
        A stage with state has more than one input topic: their partitions may go to different workers.
    """
    inputs = source_bus.partition_counts(list(stage.input_topics))
    others = [*output_topics, *([stage.changelog_topic] if stage.changelog_topic else [])]
    for name, count in {**bus.partition_counts(others), **inputs}.items():
        if count is None:
            msg = f"topic {name} of stage {stage.name} does not exist: run '{CREATE_COMMAND}'"
            raise TopicError(msg)
    if stage.changelog_topic is None:
        return
    if len(inputs) != 1:
        msg = f"stage {stage.name} keeps state and has input topics {sorted(inputs)}, expected exactly one"
        raise ConfigurationError(msg)
    ((source, expected),) = inputs.items()
    found = bus.partition_counts([stage.changelog_topic])[stage.changelog_topic]
    if found != expected:
        msg = (
            f"partitions of {source} ({expected}) and {stage.changelog_topic} ({found}) differ: partition p "
            f"of the changelog holds the state of partition p of the input; delete the wrong one and run "
            f"'{CREATE_COMMAND}'"
        )
        raise TopicError(msg)
    policy = bus.topic_config(stage.changelog_topic).get("cleanup.policy")
    if policy != "compact":
        cure = set_topic_config(bus.address, stage.changelog_topic, "cleanup.policy", "compact")
        msg = (
            f"topic {stage.changelog_topic} has cleanup.policy={policy}, expected compact (anything else "
            f"deletes state): {cure}"
        )
        raise TopicError(msg)
