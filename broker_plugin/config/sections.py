"""Every key of the configuration, with its meaning, its default and what is allowed.

The descriptions below are what ``broker-plugin check-config --explain`` prints.
"""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from broker_plugin.catalogue.cells import MAX_RADIUS_ARCSEC

_TOPIC_NAME = r"^[A-Za-z0-9._-]{1,200}$"  # Kafka allows 249; our suffixes need room

RESERVED_OPTIONS = {
    "bootstrap.servers": "set `bootstrap` instead",
    "metadata.broker.list": "set `bootstrap` instead",
    "group.id": "groups are named after the prefix and the stage; the one on the source is `source.group`",
    "group.instance.id": "set `runner.instance_id` instead",
    "transactional.id": "it is derived from `runner.instance_id`",
    "enable.auto.commit": "offsets are committed in the transaction",
    "enable.auto.offset.store": "offsets are committed in the transaction",
    "enable.idempotence": "exactly-once needs it on",
    "isolation.level": "exactly-once needs read_committed",
    "auto.offset.reset": "a missing offset is decided by the runner, not guessed",
    "enable.partition.eof": "the runner sets it",
    "partition.assignment.strategy": "changing it on a live group breaks joins",
    "transaction.timeout.ms": "set `runner.transaction_timeout_seconds` instead",
    "session.timeout.ms": "set `runner.session_timeout_seconds` instead",
    "max.poll.interval.ms": "set `runner.max_poll_interval_seconds` instead",
    "statistics.interval.ms": "the runner sets it for the lag metrics",
}
"""librdkafka options that exactly-once processing depends on, and what to do instead."""

OptionValue = str | bool | int | float


def _flatten(value: Any, prefix: str = "") -> Any:
    # TOML reads `security.protocol = "SSL"` as a table in a table; librdkafka means one name with a dot.
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flatten(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = inner
    return flat


def _refuse_reserved(options: dict[str, OptionValue]) -> dict[str, OptionValue]:
    reserved = sorted(RESERVED_OPTIONS.keys() & options.keys())
    problems = [f"{name!r} cannot be set here ({RESERVED_OPTIONS[name]})" for name in reserved]
    if problems:
        raise ValueError("; ".join(problems))
    return options


Options = Annotated[dict[str, OptionValue], BeforeValidator(_flatten), AfterValidator(_refuse_reserved)]
TopicName = Annotated[str, Field(pattern=_TOPIC_NAME)]


def _check_nightly(pattern: str) -> str:
    """Refuse a pattern that is the same every night, or no topic name on some."""
    first, second = (datetime(2026, 1, day, tzinfo=UTC).strftime(pattern) for day in (9, 10))
    other_year = datetime(2027, 1, 9, tzinfo=UTC).strftime(pattern)
    if not re.fullmatch(_TOPIC_NAME, first):
        msg = f"{pattern!r} makes {first!r} of 9 January 2026, expected letters, digits, '.', '_' and '-'"
        raise ValueError(msg)
    if first in (second, other_year):
        msg = f"{pattern!r} does not name a night; expected year, month and day, e.g. ztf_%Y%m%d_programid1"
        raise ValueError(msg)
    return pattern


NightlyTopic = Annotated[str, AfterValidator(_check_nightly)]


def default_instance_id() -> str:
    """Return a name that is stable over restarts on this machine: its host name, made fit for Kafka."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "worker"


class Section(BaseModel):
    """A table of the configuration file: immutable, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KafkaConfig(Section):
    """Our own Kafka cluster, which holds every topic that begins with the prefix."""

    bootstrap: str = Field("localhost:9092", min_length=1, description="host:port, or several with commas")
    options: Options = Field(
        default_factory=dict, repr=False, description="librdkafka options of every client (security.protocol)"
    )
    consumer_options: Options = Field(default_factory=dict, repr=False, description="... of consumers only")
    producer_options: Options = Field(default_factory=dict, repr=False, description="... of producers only")
    timeout_seconds: PositiveFloat = Field(30.0, description="how long to wait for an answer of the cluster")


class SourceConfig(Section):
    """Where alerts come from: the survey's or another broker's cluster, read at least once."""

    bootstrap: str | None = Field(None, min_length=1, description="host:port; not set means kafka.bootstrap")
    topics: tuple[TopicName, ...] = Field(
        (), description="explicit topic names; no topics of either kind means the one topic <prefix>.alerts"
    )
    nightly_topics: tuple[NightlyTopic, ...] = Field(
        (), description="topics named after their night, e.g. ztf_%Y%m%d_programid1 (strftime, UTC)"
    )
    nights: int = Field(
        3, ge=1, le=31, description="nights back, today included, that are read; fewer than the survey keeps"
    )
    group: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="consumer group, where the survey prescribes its name; not set: <prefix>.ingest",
    )
    options: Options = Field(
        default_factory=dict,
        repr=False,
        description="librdkafka options of the source's consumer; added to kafka's if bootstrap is not set",
    )

    def topics_at(self, seconds: float) -> tuple[str, ...]:
        """Return the topics to read at a time (seconds since 1970); the window moves on at UTC midnight."""
        today = datetime.fromtimestamp(seconds, UTC)
        days = [today - timedelta(days=back) for back in range(self.nights - 1, -1, -1)]
        nightly = (day.strftime(pattern) for day in days for pattern in self.nightly_topics)
        return tuple(dict.fromkeys([*self.topics, *nightly]))


class AccumulateConfig(Section):
    """How light curves grow, and when a window of 200 epochs goes to the network."""

    window: Literal["latest", "paper"] = Field(
        "latest",
        description="latest: the newest 200 epochs, again and again; paper: disjoint chunks in time order",
    )
    rescore_after: PositiveInt = Field(20, description="new epochs until the next window (window = latest)")
    max_epochs: int = Field(1000, ge=200, description="epochs kept of each object and band, the newest")
    state_directory: Path = Field(
        Path("broker-plugin-state"),
        description="local cache of the state; may be deleted while the worker is stopped",
    )


class ScoreConfig(Section):
    """Period, network, novelty, and what of it is published."""

    bundle: str = Field(
        "default", min_length=1, description='"default" or "paper" (ship inside), or a directory'
    )
    runtime: Literal["onnx", "openvino", "tensorflow"] = Field(
        "onnx", description="what computes the network; the others are extras (openvino, train)"
    )
    batch_size: PositiveInt = Field(64, description="windows in one pass of the network")
    threads: PositiveInt | None = Field(
        None, description="threads of the network; not set: all. The search has one: run a process a core"
    )
    period_catalogue: Path | None = Field(
        None, description="table of known periods (CSV or parquet: survey, object_id, period_days)"
    )
    period_min_days: PositiveFloat = Field(0.03, description="shortest period of the search")
    period_max_days: PositiveFloat = Field(1000.0, description="longest period of the search")
    publish: Literal["changes", "all"] = Field(
        "changes",
        description="changes: an annotation that says something new, as a revision; all: one of every window",
    )
    probability_margin: float = Field(
        0.1, ge=0.0, le=1.0, description="by which another class must lead over the published one to be news"
    )
    energy_margin: float = Field(
        1.0, ge=0.0, description="by which the energy must lie beyond the novelty threshold to be news"
    )
    period_tolerance: float = Field(
        0.01, ge=0.0, lt=0.3, description="relative difference of periods that count as the same"
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.period_min_days >= self.period_max_days:
            msg = (
                f"period_min_days ({self.period_min_days:g}) must be below "
                f"period_max_days ({self.period_max_days:g})"
            )
            raise ValueError(msg)
        return self


class CatalogueConfig(Section):
    """Known stars, asked by position for every window: period, class, photometry."""

    file: Path | None = Field(
        None, description="made by `broker-plugin catalogue build`; not set: no catalogue is asked"
    )
    radius_arcsec: float = Field(
        1.5, gt=0, le=MAX_RADIUS_ARCSEC, description="farther stars are others; of nearer ones the nearest"
    )
    use_periods: bool = Field(
        True, description="fold with the catalogue's period where it has one, instead of searching"
    )


class CombineConfig(Section):
    """One annotation of each object, from those of its bands."""

    enabled: bool = Field(True, description="whether `run` and `replay` combine; they are small and cheap")
    novel_p_value: float = Field(
        0.05, gt=0.0, lt=1.0, description="combined p-value up to which an object is called novel"
    )


class ShadowConfig(Section):
    """A second model that judges the same windows, into topics of its own."""

    bundle: str | None = Field(
        None, min_length=1, description="its bundle, as score.bundle; not set: no shadow"
    )
    prefix: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,110}$",
        description="of its topics, e.g. <prefix>.classifications; not set: that of the stages and -shadow",
    )


class RunnerConfig(Section):
    """Batches and transactions. The defaults suit a survey's full rate and a laptop alike."""

    batch_records: PositiveInt = Field(500, description="records in one transaction, at most")
    batch_seconds: PositiveFloat = Field(1.0, description="seconds that a batch waits to fill, at most")
    instance_id: str = Field(
        default_factory=default_instance_id,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="unique for each worker and stable over its restarts; not set: the host's name",
    )
    transaction_timeout_seconds: float = Field(
        15.0, ge=1.0, le=900.0, description="the cluster aborts a transaction of a dead worker after this"
    )
    session_timeout_seconds: float = Field(
        45.0, ge=6.0, le=1800.0, description="a silent worker loses its partitions after this"
    )
    max_poll_interval_seconds: float = Field(
        300.0, ge=10.0, description="a worker stuck in one batch loses its partitions after this"
    )

    max_failures_in_a_row: int = Field(
        50, ge=0, description="records that crash a stage, one after the other, until it stops; 0: never"
    )

    @model_validator(mode="after")
    def _order(self) -> Self:
        transaction, session = self.transaction_timeout_seconds, self.session_timeout_seconds
        if not transaction < session <= self.max_poll_interval_seconds:
            msg = (
                f"transaction_timeout_seconds ({transaction:g}) must be below "
                f"session_timeout_seconds ({session:g}), and that at most "
                f"max_poll_interval_seconds ({self.max_poll_interval_seconds:g})"
            )
            raise ValueError(msg)
        return self


class TopicsConfig(Section):
    """Layout that ``topics create`` makes and ``topics verify`` expects."""

    partitions: int = Field(8, ge=1, le=10_000, description="of every keyed topic; final once live")
    replication: int = Field(1, ge=1, le=15, description="copies of each partition; 3 in production")
    retention_hours: PositiveFloat | None = Field(
        None, description="how long records are kept; not set: 7 days, annotations and dead letters 30"
    )


class MetricsConfig(Section):
    """The HTTP server for Prometheus: /metrics, /livez, /readyz."""

    enabled: bool = Field(True, description="serve metrics while `run` runs")
    address: str = Field("127.0.0.1", min_length=1, description="0.0.0.0 in a container")
    port: int = Field(9464, ge=0, le=65535, description="0 lets the system choose")
    tls_certificate: Path | None = Field(
        None, description="PEM file, certificate and chain: https instead of http; a renewed file is taken up"
    )
    tls_key: Path | None = Field(None, description="PEM file, the certificate's key, unencrypted")
    token: str | None = Field(
        None,
        min_length=16,
        pattern=r"^[A-Za-z0-9._~+/=-]+$",
        repr=False,
        description="/metrics asks for 'Authorization: Bearer <token>'; from the environment or a file",
    )

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            have, lack = (
                ("tls_certificate", "tls_key") if self.tls_key is None else ("tls_key", "tls_certificate")
            )
            msg = f"{have} is set and {lack} is not: https needs both, http neither"
            raise ValueError(msg)
        return self


class LogConfig(Section):
    """What goes to stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severity shown")
    format: Literal["text", "json"] = Field("text", description="json: one object a line, for log collectors")
