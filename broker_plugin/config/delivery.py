"""Where annotations go besides our own topics: outputs, and where an output's consumer is to be found."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from broker_plugin.config.sections import Options, Section, TopicName
from broker_plugin.errors import ConfigurationError
from broker_plugin.filters import FilterSpec
from broker_plugin.outputs import Source
from broker_plugin.outputs.elasticc import load_taxonomy
from broker_plugin.outputs.lasair import ANNOTATOR_LENGTH, URL_FIELDS, URL_LENGTH

# Lower case without dots, so that a name can be part of a variable and of a topic.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]

_ONLY_FOR = {
    "annotator": "lasair",
    "url": "lasair",
    "taxonomy": "elasticc",
    "broker_name": "elasticc",
    "sender": "hop",
    "test": "hop",
    "content": "hop",
    "framing": "avro",
    "registry_url": "avro",
}
"""Keys that mean something to one format only."""


def _http(address: str) -> str:
    if not re.match(r"https?://[^/\s]", address):
        msg = f"{address!r} is no address: expected http://... or https://..."
        raise ValueError(msg)
    return address


def _page(address: str) -> str:
    """Refuse an address that Lasair or Python could not use."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(address) if name is not None}
    except ValueError as error:
        msg = f"{address!r} is no address with names in braces: {error}"
        raise ValueError(msg) from error
    unknown = sorted(names - set(URL_FIELDS))
    if unknown:
        msg = f"{unknown[0]!r} in braces is not known; expected some of {', '.join(URL_FIELDS)}"
        raise ValueError(msg)
    if "'" in address or "\\" in address:
        msg = f"{address!r}: Lasair takes neither apostrophe nor backslash"
        raise ValueError(msg)
    return _http(address)


def _taxonomy(path: Path) -> Path:
    try:
        load_taxonomy(path)
    except ConfigurationError as error:
        msg = str(error)
        raise ValueError(msg) from error
    return path


HttpAddress = Annotated[str, AfterValidator(_http)]


class TargetConfig(Section):
    """Another Kafka cluster that gets an output, at least once; without it, the output stays in ours."""

    bootstrap: str | None = Field(None, min_length=1, description="host:port; not set: our own cluster")
    topic: TopicName | None = Field(None, description="its name there; not set: the same as here")
    options: Options = Field(
        default_factory=dict, repr=False, description="librdkafka options of the producer (sasl.username)"
    )

    @model_validator(mode="after")
    def _needs_address(self) -> Self:
        if self.bootstrap is None and (self.options or self.topic):
            msg = "options and topic of another cluster have no effect without its bootstrap"
            raise ValueError(msg)
        return self


class RestConfig(Section):
    """Lasair's HTTP interface, at least once, within its limit of calls."""

    endpoint: HttpAddress | None = Field(
        None, description="https://api.lasair.lsst.ac.uk/api for LSST; not set: no REST"
    )
    token: str | None = Field(
        None, min_length=1, repr=False, description="of the annotator's owner; from the environment or a file"
    )
    calls_per_hour: PositiveFloat = Field(100.0, description="what Lasair allows a user; 10000 a power user")
    batch: PositiveInt = Field(100, le=1000, description="annotations in one call, at most")
    timeout_seconds: PositiveFloat = Field(60.0, description="how long to wait for an answer")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.endpoint is None) != (self.token is None):
            have, lack = ("endpoint", "token") if self.token is None else ("token", "endpoint")
            msg = f"{have} is set and {lack} is not: REST needs both"
            raise ValueError(msg)
        return self


class OutputConfig(Section):
    """A consumer's stream: which annotations, in which format, to where."""

    format: Literal["json", "avro", "lasair", "elasticc", "hop"] = Field(
        description="what the consumer reads"
    )
    source: Source = Field(
        "classifications",
        description="novelties come with their light curves (json, avro, hop); classifications hold the "
        "verdict of every window, novel or not; objects one verdict of all bands",
    )
    filters: tuple[Name, ...] = Field(
        (), description="names of [filters.*]; an annotation that passes any of them is sent; empty: all"
    )
    follow_up: bool = Field(
        True,
        description="send the revision of what was sent that does not pass the filters any more, once and "
        "marked (filter_outcome); false: matches only, and their withdrawals",
    )
    topic_per_filter: bool = Field(
        False, description="each filter its own topic, <topic>.<filter>, instead of one for all"
    )
    topic: TopicName | None = Field(
        None, description="in our cluster; not set: <prefix>.output.<name>, for lasair anno_<annotator>"
    )
    framing: Literal["container", "single-object", "confluent"] = Field(
        "container", description="avro: confluent needs registry_url"
    )
    registry_url: HttpAddress | None = Field(
        None, repr=False, description="avro: schema registry, where our schemas are registered at start"
    )
    annotator: str | None = Field(
        None,
        pattern=rf"^[A-Za-z0-9._-]{{1,{ANNOTATOR_LENGTH - 55}}}$",
        description="lasair: name of the annotator as agreed with Lasair",
    )
    url: Annotated[str, AfterValidator(_page)] | None = Field(
        None,
        max_length=URL_LENGTH,
        description="lasair: page about the object, {object_id}, {ra}, {dec}, ... filled in",
    )
    broker_name: str | None = Field(None, min_length=1, description="elasticc: as agreed with DESC")
    taxonomy: Annotated[Path, AfterValidator(_taxonomy)] | None = Field(
        None, description="elasticc: TOML of classes and classIds; not set: the shipped one"
    )
    sender: str | None = Field(
        None, min_length=1, description="hop: SCiMMA user name; not set: sasl.username of the target"
    )
    test: bool = Field(False, description="hop: mark all as tests, which readers pass over by default")
    content: Literal["json", "avro"] = Field("json", description="hop: what the messages hold")
    target: TargetConfig = Field(default_factory=TargetConfig)
    rest: RestConfig = Field(default_factory=RestConfig)

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        problems = [
            f"{key} belongs to format = {owner!r}, found {self.format!r}"
            for key, owner in _ONLY_FOR.items()
            if owner != self.format and getattr(self, key) != type(self).model_fields[key].default
        ]
        needs = {"lasair": "annotator", "elasticc": "broker_name"}.get(self.format)
        if needs is not None and getattr(self, needs) is None:
            problems.append(f"format = {self.format!r} needs {needs}")
        if self.rest.endpoint is not None and self.format != "lasair":
            problems.append(f"rest is Lasair's, found format = {self.format!r}")
        if self.rest.endpoint is not None and self.target.bootstrap is not None:
            problems.append("rest.endpoint and target.bootstrap are set: an output goes to one place")
        if (self.framing == "confluent") != (self.registry_url is not None) and self.format == "avro":
            problems.append("framing = 'confluent' and registry_url go together")
        if self.source == "novelties" and self.format in ("lasair", "elasticc"):
            problems.append(
                f"format = {self.format!r} has no room for light curves: take source = 'classifications' and "
                "a filter with novel = true"
            )
        if self.topic_per_filter and not self.filters:
            problems.append("topic_per_filter needs filters")
        if not self.follow_up and not self.filters:
            problems.append("follow_up = false needs filters: without them, everything is sent")
        if self.topic_per_filter and self.target.topic is not None:
            problems.append("topic_per_filter and target.topic: their topics are called as ours are")
        if len(set(self.filters)) != len(self.filters):
            problems.append("filters names one twice")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def topic_base(self, prefix: str, name: str) -> str:
        """Return the topic in our cluster, before a filter's name is appended."""
        if self.topic is not None:
            return self.topic
        return f"anno_{self.annotator}" if self.annotator is not None else f"{prefix}.output.{name}"

    def topics(self, prefix: str, name: str) -> dict[str, tuple[str, ...]]:
        """Return the names of the filters, of which one must pass, by topic; none stands for everything."""
        base = self.topic_base(prefix, name)
        if self.topic_per_filter:
            return {f"{base}.{each}": (each,) for each in self.filters}
        return {base: self.filters}

    @property
    def leaves(self) -> bool:
        """Return whether somebody outside of our cluster gets it."""
        return self.target.bootstrap is not None or self.rest.endpoint is not None


Filters = dict[Name, FilterSpec]
Outputs = dict[Name, OutputConfig]
