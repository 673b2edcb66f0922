"""Where the schema of a registry-framed packet comes from: package data, a directory, or several in turn.

LSST numbers its schemas 100 * major + minor (1100 is 11.0) and ships every
version as data files of the package ``lsst-alert-packet``. Importing that package
costs a second and needs libraries that are of no use here, so only its files are used.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastavro.schema import load_schema

from broker_plugin.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SchemaMissing:
    """No schema of that id: where it was looked for, in one line."""

    detail: str


class SchemaSource(Protocol):
    """Answers a schema id with a schema."""

    def schema(self, schema_id: int) -> Any | SchemaMissing:
        """Return the self-contained schema as JSON values, or :class:`SchemaMissing`; never raise."""


class BundledSchemas:
    """The schemas in the installed package ``lsst-alert-packet``."""

    def __init__(self) -> None:
        self._root = _bundled_root()

    def schema(self, schema_id: int) -> Any | SchemaMissing:
        """Return the LSST alert schema ``schema_id // 100`` . ``schema_id % 100``."""
        major, minor = divmod(schema_id, 100)
        found = _load_alert_schema(self._root / str(major) / str(minor), major, minor)
        return found or SchemaMissing(f"lsst-alert-packet bundles no version {major}.{minor}")

    def ids(self) -> tuple[int, ...]:
        """Return the ids of all the bundled schemas, ascending."""
        files = self._root.glob("*/*/lsst.v*.alert.avsc")
        return tuple(sorted(100 * int(path.parts[-3]) + int(path.parts[-2]) for path in files))


class DirectorySchemas:
    """Schemas in a directory of the operator's.

    For id 1100 these are tried: ``1100.avsc`` (self-contained),
    ``11/0/lsst.v11_0.alert.avsc`` and ``lsst.v11_0.alert.avsc`` (with the types
    that it names in files beside it).
    """

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            msg = f"schema directory {directory} is not a directory; create it or mend the setting"
            raise ConfigurationError(msg)
        self._directory = directory

    def schema(self, schema_id: int) -> Any | SchemaMissing:
        """Return the schema of the first file that fits."""
        major, minor = divmod(schema_id, 100)
        own = self._directory / f"{schema_id}.avsc"
        try:
            found = json.loads(own.read_bytes()) if own.is_file() else None
        except (OSError, ValueError, RecursionError) as error:
            return SchemaMissing(f"{own} cannot be read: {error}")
        for folder in (self._directory / str(major) / str(minor), self._directory):
            found = found or _load_alert_schema(folder, major, minor)
        return found or SchemaMissing(f"{self._directory} holds no schema {schema_id}")


class SchemaChain:
    """Several sources, asked in order."""

    def __init__(self, sources: Sequence[SchemaSource]) -> None:
        self._sources = tuple(sources)

    def schema(self, schema_id: int) -> Any | SchemaMissing:
        """Return the first source's answer that is a schema."""
        missing = []
        for source in self._sources:
            answer = source.schema(schema_id)
            if not isinstance(answer, SchemaMissing):
                return answer
            missing.append(answer.detail)
        return SchemaMissing("; ".join(missing) or "no schema source is configured")


def _load_alert_schema(folder: Path, major: int, minor: int) -> Any | None:
    """Load ``lsst.vMAJOR_MINOR.alert`` and what it names from a folder's files; None if it is not there."""
    path = folder / f"lsst.v{major}_{minor}.alert.avsc"
    if not path.is_file():
        return None
    try:
        return load_schema(str(path), named_schemas={})
    except Exception as error:  # a damaged schema file: every packet of this version would fail alike
        msg = f"schema file {path} or one beside it cannot be used ({error}); restore it"
        raise ConfigurationError(msg) from error


def _bundled_root() -> Path:
    spec = importlib.util.find_spec("lsst")
    for location in spec.submodule_search_locations or () if spec else ():
        root = Path(location) / "alert" / "packet" / "schema"
        if root.is_dir():
            return root
    msg = "the package lsst-alert-packet is not installed: pip install lsst-alert-packet"
    raise ConfigurationError(msg)
