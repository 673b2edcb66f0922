"""One annotation, as each of its consumers takes it: pure translations, no delivery.

Each module names the interface that it was written against, and its limits. What cannot be translated raises
ValueError, which makes a dead letter of the record.
"""

from broker_plugin.outputs.avro import AvroFormat, Framing, confluent_prefix
from broker_plugin.outputs.elasticc import ElasticcFormat, Taxonomy, load_taxonomy, shipped_taxonomy
from broker_plugin.outputs.hop import HopFormat
from broker_plugin.outputs.lasair import LasairFormat
from broker_plugin.outputs.plain_json import JsonFormat
from broker_plugin.outputs.publication import (
    FILTER_OUTCOME,
    KINDS,
    NO_LONGER_PASSES,
    Format,
    Headers,
    Publication,
    Source,
    Translated,
    marked,
)

__all__ = [
    "FILTER_OUTCOME",
    "KINDS",
    "NO_LONGER_PASSES",
    "AvroFormat",
    "ElasticcFormat",
    "Format",
    "Framing",
    "Headers",
    "HopFormat",
    "JsonFormat",
    "LasairFormat",
    "Publication",
    "Source",
    "Taxonomy",
    "Translated",
    "confluent_prefix",
    "load_taxonomy",
    "marked",
    "shipped_taxonomy",
]
