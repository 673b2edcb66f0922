"""The form of ZTF's alert packets, schema 4.02, and the numbers that tell one candidate from another."""

from __future__ import annotations

import json
from collections import Counter

from broker_plugin.errors import ConfigurationError
from broker_plugin.records.schemas import schema_directory
from broker_plugin.simulate.avro import (
    ContainerFrame,
    RecordAssembler,
    RecordEncoder,
    encode_array,
    encode_long,
    encode_string,
)
from broker_plugin.simulate.identity import ztf_candid

SCHEMA_VERSION = "4.02"
HISTORY_DAYS = 30.0
FILTER_IDS = {"g": 1, "r": 2, "i": 3}

_PUBLISHER = "broker-plugin simulate"
_NUMBERS_PER_IMAGE = 1000  # the last three digits of a candid


class ZtfFormat:
    """The schema's encoders, and the numbers given out so far; shared by all stars of a simulation."""

    def __init__(self) -> None:
        schema = json.loads(
            (schema_directory() / "ztf" / f"alert-{SCHEMA_VERSION}.avsc").read_text(encoding="utf-8")
        )
        types = {field["name"]: field["type"] for field in schema["fields"]}
        self._frame = ContainerFrame(schema)
        self._alert = RecordAssembler(schema)
        self.candidate = RecordEncoder(types["candidate"])
        self.previous = RecordEncoder(types["prv_candidates"][1]["items"])
        self.forced = RecordEncoder(types["fp_hists"][1]["items"])
        self.cutout = RecordEncoder(types["cutoutScience"][1])
        self._numbers: Counter[int] = Counter()

    def next_candid(self, pid: int, *, positive: bool) -> int:
        """Return an id that no other candidate has."""
        index = self._numbers[pid]
        if index >= _NUMBERS_PER_IMAGE:
            msg = f"more than {_NUMBERS_PER_IMAGE} candidates in image {pid}; simulate more fields (n_fields)"
            raise ConfigurationError(msg)
        self._numbers[pid] += 1
        return ztf_candid(pid, positive=positive, index=index)

    def packet(
        self,
        object_id: str,
        candid: int,
        *,
        candidate: bytes,
        previous: list[bytes],
        forced: list[bytes] | None,
        cutouts: dict[str, bytes] | None = None,
    ) -> bytes:
        """Put a packet together from encoded parts; no previous candidates become null, as ZTF does."""
        fields = {
            "schemavsn": encode_string(SCHEMA_VERSION),
            "publisher": encode_string(_PUBLISHER),
            "objectId": encode_string(object_id),
            "candid": encode_long(candid),
            "candidate": candidate,
            **(cutouts or {}),
        }
        if previous:
            fields["prv_candidates"] = encode_array(previous)
        if forced is not None:
            fields["fp_hists"] = encode_array(forced)
        return self._frame.wrap(self._alert.assemble(fields))
