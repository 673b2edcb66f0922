"""Labels that people gave on the board, added to a table of training stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from training.windows import read_stars

_REQUIRED = ("star_id", "superclass", "hjd", "mag", "magerr")
_LABELLED = (*_REQUIRED, "label_id", "labelled_at_ms", "band")
_ALLOWED = (*CLASSES, "NOVEL")


@dataclass(frozen=True, slots=True)
class AddedLabels:
    """What was put together.

    Attributes
    ----------
    stars : int
        Rows of the training table.
    added : int
        Labelled light curves behind them.
    superseded : int
        Labels of a light curve that a later one in these files replaces.
    """

    stars: int
    added: int
    superseded: int


def add_labels(data: Path, labels: Sequence[Path], out: Path) -> AddedLabels:
    """Write a training table and labelled light curves as one table.

    Parameters
    ----------
    data : Path
        Parquet, one row a star, as everywhere.
    labels : sequence of Path
        Tables that ``broker-plugin board export-labels OUT.parquet`` wrote, of one or more boards. Of two
        labels of a light curve the later one counts.
    out : Path

    Raises
    ------
    InputError
        A file cannot be read or written, lacks a column, or a class is none of training's.
    """
    base = read_stars(data, _REQUIRED)
    rows = [row for path in labels for row in read_stars(path, _LABELLED).to_pylist()]
    for row in rows:
        if row["superclass"] not in _ALLOWED:
            allowed = ", ".join(_ALLOWED)
            msg = (
                f"label of star {row['star_id']}: superclass {row['superclass']!r}; expected one of {allowed}"
            )
            raise InputError(msg)
    newest: dict[tuple[str, str], dict[str, object]] = {}
    for row in sorted(rows, key=lambda row: (row["labelled_at_ms"], row["label_id"])):
        newest[row["star_id"], row["band"]] = row
    added = pa.Table.from_pylist([_with_group(row, _groups(base)) for row in newest.values()])
    try:
        table = pa.concat_tables([base, _fitted(added, base)], promote_options="permissive")
        partial = out.with_name(out.name + ".partial")
        out.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, partial)
        partial.replace(out)
    except (OSError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        msg = f"{out}: {data} and the labels cannot be put together ({error})"
        raise InputError(msg) from error
    return AddedLabels(len(base), len(newest), len(rows) - len(newest))


def _groups(base: pa.Table) -> dict[str, int]:
    if "group" not in base.column_names:
        return {}
    ids, groups = base["star_id"].to_pylist(), base["group"].to_pylist()
    return {str(star): group for star, group in zip(ids, groups, strict=True) if group is not None}


def _with_group(row: dict[str, object], groups: dict[str, int]) -> dict[str, object]:
    """Tie a labelled star to the training star of the same id; -1: to nobody but its own bands."""
    return {**row, "group": groups.get(str(row["star_id"]), -1)}


def _fitted(added: pa.Table, base: pa.Table) -> pa.Table:
    """Give columns that both have the type of the training table: ids may be integers there."""
    for number, field in enumerate(added.schema):
        if field.name in base.column_names and field.type != base.schema.field(field.name).type:
            wanted = base.schema.field(field.name).type
            if field.name == "star_id":
                continue
            added = added.set_column(number, field.name, added[field.name].cast(wanted))
    return added
