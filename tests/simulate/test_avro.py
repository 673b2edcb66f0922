"""Hand-made Avro is what any Avro library reads."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.simulate.avro import (
    ContainerFrame,
    RecordAssembler,
    RecordEncoder,
    RegistryFrame,
    encode_array,
    encode_long,
    encode_string,
)

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {
            "name": "history",
            "type": [
                "null",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "entry",
                        "fields": [{"name": "mag", "type": ["null", "float"]}],
                    },
                },
            ],
            "default": None,
        },
        {"name": "stamp", "type": ["null", "bytes"], "default": None},
    ],
}


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_encoded_as_fastavro_does(value: int) -> None:
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, fastavro.parse_schema({"type": "long"}), value)

    assert encode_long(value) == expected.getvalue()


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=300),
    st.none() | st.lists(st.none() | st.floats(width=32, allow_nan=False), max_size=200),
)
def test_a_record_put_together_from_parts_reads_back(number: int, name: str, mags: list[Any] | None) -> None:
    """Parts encoded apart, then joined, framed as a container: fastavro reads the record."""
    entry = RecordEncoder(SCHEMA["fields"][2]["type"][1]["items"])
    parts = {"id": encode_long(number), "name": encode_string(name)}
    if mags is not None:
        parts["history"] = encode_array([entry.encode({"mag": mag}) for mag in mags])

    packet = ContainerFrame(SCHEMA).wrap(RecordAssembler(SCHEMA).assemble(parts))

    records = list(fastavro.reader(io.BytesIO(packet)))
    history = None if mags is None else [{"mag": mag} for mag in mags]
    assert records == [{"id": number, "name": name, "history": history, "stamp": None}]


def test_the_registry_frame_names_its_schema() -> None:
    assert RegistryFrame(1100).wrap(b"record") == b"\x00\x00\x00\x04\x4crecord"
