"""The same accumulation with Quix Streams, as its documentation would have one write it.

Runs by itself, in an environment of its own: Quix Streams wants an older Kafka client than the project::

    python benchmarks/quix.py BOOTSTRAP PREFIX STATE_FOLDER SCHEMA

State by key in RocksDB with a changelog topic, exactly once, epochs packed in bytes, a window each 20 epochs.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from quixstreams import Application

_EPOCH = np.dtype([("time_mjd", "<f8"), ("mag", "<f4"), ("magerr", "<f4")])
_WINDOW = 200
_RESCORE_AFTER = 20
_HEAD_BYTES = 10  # of Avro's single-object encoding


def main() -> None:
    """Run until SIGTERM."""
    bootstrap, prefix, folder, schema_path = sys.argv[1:]
    schema = fastavro.parse_schema(json.loads(Path(schema_path).read_text()))

    def merge(value: bytes, state: Any) -> bytes | None:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[_HEAD_BYTES:]), schema)
        window = None
        for band in record["bands"]:
            new = np.empty(len(band["time_mjd"]), dtype=_EPOCH)
            for name in ("time_mjd", "mag", "magerr"):
                new[name] = band[name]
            held = np.frombuffer(state.get_bytes(band["band"], b""), dtype=_EPOCH)
            _, first = np.unique(np.concatenate([held["time_mjd"], new["time_mjd"]]), return_index=True)
            merged = np.concatenate([held, new])[first]
            state.set_bytes(band["band"], merged.tobytes())
            if len(merged) >= _WINDOW and len(merged) % _RESCORE_AFTER == 0:
                window = merged[-_WINDOW:].tobytes()
        return window

    application = Application(
        broker_address=bootstrap,
        consumer_group=f"{prefix}.quix",
        auto_offset_reset="earliest",
        state_dir=folder,
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        commit_every=500,
    )
    source = application.topic(f"{prefix}.photometry", key_deserializer="bytes", value_deserializer="bytes")
    target = application.topic(f"{prefix}.quix-windows", key_serializer="bytes", value_serializer="bytes")
    stream = application.dataframe(source)
    stream = stream.apply(merge, stateful=True)
    stream[stream.apply(lambda window: window is not None)].to_topic(target)
    application.run()


if __name__ == "__main__":
    main()
