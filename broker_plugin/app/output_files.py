"""Files of records: the same records that Kafka would hold, as Avro containers and as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastavro.write import Writer

from broker_plugin.errors import InputError
from broker_plugin.records import schemas
from broker_plugin.records.text import to_json


class RecordFiles:
    """A pair of files, ``<name>.avro`` and ``<name>.jsonl``, for each kind of record.

    Parameters
    ----------
    directory : Path
        Created if it is not there. Files of an earlier run are replaced.
    kinds : mapping of str to str
        Record kind (``"classification"``) by file name (``"classifications"``).
    """

    def __init__(self, directory: Path, kinds: Mapping[str, str]) -> None:
        self._kinds = dict(kinds)
        self._closing = ExitStack()
        self._avro: dict[str, Any] = {}
        self._json: dict[str, Any] = {}
        self.paths: tuple[Path, ...] = ()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for name, kind in self._kinds.items():
                avro, jsonl = directory / f"{name}.avro", directory / f"{name}.jsonl"
                stream = self._closing.enter_context(avro.open("wb"))
                self._avro[name] = Writer(stream, schemas.latest_schema(kind), codec="deflate")
                self._json[name] = self._closing.enter_context(jsonl.open("w", encoding="utf-8"))
                self.paths += (avro, jsonl)
        except OSError as error:
            self._closing.close()
            msg = f"cannot write to {directory}: {error.strerror}; choose a directory that can be written"
            raise InputError(msg) from error

    def write(self, name: str, value: bytes) -> None:
        """Append a record as it stands in its topic."""
        record = schemas.decode(self._kinds[name], value)
        self._avro[name].write(record)
        self._json[name].write(to_json(record) + "\n")

    def __enter__(self) -> Self:
        """Return the files."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close, also after an error: what was committed is there."""
        for writer in self._avro.values():
            writer.flush()
        self._closing.close()
