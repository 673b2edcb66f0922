"""Files that the offline mode wrote, read again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from broker_plugin.errors import InputError
from broker_plugin.outputs import FILTER_OUTCOME
from broker_plugin.records import schemas
from broker_plugin.records.text import from_json


def read_records(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a file that this package wrote, of any version, with their kind.

    Lines of JSON (``.jsonl``) give the same records as the Avro container beside them.

    Parameters
    ----------
    path : Path
    kinds : tuple of str
        Kinds of record that the caller can use, e.g. ``("novelty", "classification")``.

    Raises
    ------
    InputError
        The file cannot be read, is no Avro file, or holds other records.
    """
    if path.suffix == ".jsonl":
        yield from _read_lines(path, kinds)
        return
    names = {_short(schemas.latest_schema(kind)): kind for kind in kinds}
    try:
        with path.open("rb") as stream:
            name = _short(fastavro.reader(stream).writer_schema)
            kind = names.get(name)
            if kind is None:
                msg = f"{path} holds records {name!r}; expected one of {', '.join(kinds)}"
                raise InputError(msg)
            stream.seek(0)
            for record in fastavro.reader(stream, reader_schema=schemas.latest_schema(kind)):
                yield kind, record
    except InputError:
        raise
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise InputError(msg) from error
    except Exception as error:  # fastavro raises many kinds on files that are damaged or something else
        msg = f"{path} is damaged or no Avro file: {type(error).__name__}: {error}"
        raise InputError(msg) from error


def _read_lines(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a file of lines, each of the kind whose fields it has."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                where = f"{path}, line {number}"
                try:
                    record = from_json(line)
                except ValueError as error:
                    msg = f"{where}: {error}"
                    raise InputError(msg) from error
                record.pop(FILTER_OUTCOME, None)  # it was about whoever wrote the file, not about the star
                kind = next((kind for kind in kinds if _is_of(record, kind)), None)
                if kind is None:
                    msg = f"{where} holds another record; expected one of {', '.join(kinds)}"
                    raise InputError(msg)
                record = {**_fields(kind)[1], **record}
                if "processed_at" in record:
                    record["processed_at"] = datetime.fromisoformat(record["processed_at"])
                yield kind, record
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise InputError(msg) from error


def _is_of(record: dict[str, Any], kind: str) -> bool:
    names, defaults = _fields(kind)
    return names - defaults.keys() <= record.keys() <= names


@cache
def _fields(kind: str) -> tuple[frozenset[str], dict[str, Any]]:
    """Return the names of a record's fields, and the defaults of those that earlier versions had not."""
    fields = schemas.latest_schema(kind)["fields"]
    return frozenset(f["name"] for f in fields), {f["name"]: f["default"] for f in fields if "default" in f}


def _short(schema: Any) -> str:
    return str(schema["name"]).rpartition(".")[2]
