"""The whole configuration: one immutable tree, and the names that follow from it."""

from __future__ import annotations

from pydantic import Field

from broker_plugin.config.delivery import Filters, Outputs
from broker_plugin.config.ingest import IngestConfig
from broker_plugin.config.sections import (
    AccumulateConfig,
    CatalogueConfig,
    CombineConfig,
    KafkaConfig,
    LogConfig,
    MetricsConfig,
    OptionValue,
    RunnerConfig,
    ScoreConfig,
    Section,
    ShadowConfig,
    SourceConfig,
    TopicsConfig,
)


class Config(Section):
    """Everything that a deployment may set."""

    prefix: str = Field(
        "variables",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        description="first part of the name of every topic and consumer group",
    )
    kafka: KafkaConfig = Field(default_factory=KafkaConfig)
    source: SourceConfig = Field(default_factory=SourceConfig)
    ingest: IngestConfig = Field(default_factory=IngestConfig)
    accumulate: AccumulateConfig = Field(default_factory=AccumulateConfig)
    score: ScoreConfig = Field(default_factory=ScoreConfig)
    catalogue: CatalogueConfig = Field(default_factory=CatalogueConfig)
    combine: CombineConfig = Field(default_factory=CombineConfig)
    shadow: ShadowConfig = Field(default_factory=ShadowConfig)
    filters: Filters = Field(default_factory=dict, description="clauses by name, for outputs and subscribers")
    outputs: Outputs = Field(default_factory=dict, description="streams of other consumers, by name")
    runner: RunnerConfig = Field(default_factory=RunnerConfig)
    topics: TopicsConfig = Field(default_factory=TopicsConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    log: LogConfig = Field(default_factory=LogConfig)

    def topic(self, name: str) -> str:
        """Return the full name of one of our topics, e.g. ``variables.photometry``."""
        return f"{self.prefix}.{name}"

    @property
    def shadow_prefix(self) -> str:
        """Return what the names of the shadow's topics begin with."""
        return self.shadow.prefix or f"{self.prefix}-shadow"

    @property
    def source_topics(self) -> tuple[str, ...]:
        """Return the topics that ingest reads."""
        return self.source.topics or (self.topic("alerts"),)

    @property
    def source_bootstrap(self) -> str:
        """Return the address of the cluster that holds the alerts."""
        return self.source.bootstrap or self.kafka.bootstrap

    @property
    def source_options(self) -> dict[str, OptionValue]:
        """Return the librdkafka options of the source's consumer.

        Our own cluster's credentials are never sent to somebody else's cluster.
        """
        if self.source.bootstrap is None:
            return {**self.kafka.options, **self.kafka.consumer_options, **self.source.options}
        return dict(self.source.options)
