"""Our own Avro, in the framing that the reader's library knows.

========================  =========================================================================
``container``             an object container of one record: any Avro library, no registry, 5 KB more
``single-object``         Avro 1.11, "Single object encoding": the schema's fingerprint in 10 bytes
``confluent``             0x00 and the registry's 4-byte schema id: what Confluent's deserialisers read
========================  =========================================================================

What does not pass its reader's filters any more is the same record as a match: that is a word about a reader,
not about the star, so it stands in the Kafka header that every format has, and no schema needs a new version.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from broker_plugin.outputs.publication import Publication, Translated
from broker_plugin.records import schemas

Framing = Literal["container", "single-object", "confluent"]

_SINGLE_OBJECT_HEAD = 10  # bytes: two marker bytes, eight of the fingerprint


@dataclass(frozen=True, slots=True)
class AvroFormat:
    """Annotations in the newest version of their schemas.

    Attributes
    ----------
    framing : Framing
    schema_ids : mapping of str to int
        For ``confluent``: the registry's id of each kind's newest schema.
    """

    framing: Framing
    schema_ids: Mapping[str, int] = field(default_factory=dict)

    def translate(self, publication: Publication) -> Translated:
        """Return the record under its newest schema."""
        kind, record = publication.kind, publication.record
        if self.framing != "confluent":
            return Translated(schemas.encode(kind, record, self.framing))
        body = schemas.encode(kind, record, "single-object")[_SINGLE_OBJECT_HEAD:]
        return Translated(confluent_prefix(self.schema_ids[kind]) + body)


def confluent_prefix(schema_id: int) -> bytes:
    """Return the five bytes before the Avro body: magic 0 and the id, big-endian."""
    return struct.pack(">bI", 0, schema_id)
