"""Plain JSON: every field of the Avro schema under its name, ids as strings, times in ISO 8601 (UTC).

What does not pass its reader's filters any more has ``filter_outcome`` besides. Described for machines by
``schemas/json/<kind>.v3.schema.json``. ``subscribe --json`` prints the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker_plugin.outputs.publication import Publication, Translated, marked
from broker_plugin.records.text import to_json


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """See the module."""

    def translate(self, publication: Publication) -> Translated:
        """Return one JSON object; raises ValueError on numbers that JSON does not have."""
        return Translated(to_json(marked(publication.record, publication.no_longer_passes)).encode())
