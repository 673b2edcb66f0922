"""Files that the offline mode wrote, read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro

from broker_plugin.errors import InputError
from broker_plugin.records import schemas


def read_records(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of an Avro file that this package wrote, of any version, with their kind.

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


def _short(schema: Any) -> str:
    return str(schema["name"]).rpartition(".")[2]
