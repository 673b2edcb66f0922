"""What two models say of the same stars: where they agree, and where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from broker_plugin.app.annotation_diff import Record, light_curve_of

By = Literal["light-curve", "window"]

_PERIOD_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Move:
    """How far the novelty of one light curve is apart.

    Energies of two models have different scales, so the distance is that of their percentiles among each
    model's training stars; of one model it is that of the energies.

    Attributes
    ----------
    where : str
        ``survey/object/band``.
    energy_a, energy_b, percentile_a, percentile_b : float
    """

    where: str
    energy_a: float
    energy_b: float
    percentile_a: float
    percentile_b: float

    def distance(self, *, same_model: bool) -> float:
        """Return how far apart they are."""
        if same_model:
            return abs(self.energy_a - self.energy_b)
        return abs(self.percentile_a - self.percentile_b)


@dataclass(slots=True)
class Comparison:
    """Figures of two sets of annotations.

    Attributes
    ----------
    both, only_a, only_b : int
        Light curves (or windows) that both have a word about, or one.
    same_class : int
    classes : Counter of (str, str)
        How often A said the first and B the second.
    novelty : Counter of (bool, bool)
        How often A and B called one novel.
    same_period : int
        Both found the same, by 1 %, or none.
    windows : int
        Of ``both``, those for which the two have looked at the same window.
    models_a, models_b : Counter of str
        Annotations by model, ``name version digest``.
    moves : list of Move
        The largest first.
    """

    both: int = 0
    only_a: int = 0
    only_b: int = 0
    same_class: int = 0
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    novelty: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    same_period: int = 0
    windows: int = 0
    models_a: Counter[str] = field(default_factory=Counter)
    models_b: Counter[str] = field(default_factory=Counter)
    moves: list[Move] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it with plain keys."""
        plain = {name: getattr(self, name) for name in ("both", "only_a", "only_b", "same_class", "windows")}
        return {
            **plain,
            "same_period": self.same_period,
            "agreement": self.same_class / self.both if self.both else None,
            "classes": [{"a": a, "b": b, "n": n} for (a, b), n in self.classes.most_common()],
            "novel": {
                "both": self.novelty[True, True],
                "only_a": self.novelty[True, False],
                "only_b": self.novelty[False, True],
                "neither": self.novelty[False, False],
            },
            "models_a": dict(self.models_a),
            "models_b": dict(self.models_b),
            "largest_moves": [asdict(move) for move in self.moves],
        }


def compare(
    a: Iterable[Record], b: Iterable[Record], *, by: By = "light-curve", most: int = 10
) -> Comparison:
    """Compare what is in force, or what was said of each window.

    Parameters
    ----------
    a, b : iterable of dict
        Classification records, in any order.
    by : {"light-curve", "window"}
        Compare the annotations in force of each object and band, or those of the same windows. The former is
        what a reader believes; of the latter there are fewer where only changes are published.
    most : int
        Moves that are kept.
    """
    of_a, of_b = _chosen(a, by), _chosen(b, by)
    found = Comparison(only_a=len(of_a.keys() - of_b.keys()), only_b=len(of_b.keys() - of_a.keys()))
    for records, models in ((of_a, found.models_a), (of_b, found.models_b)):
        models.update(_model(record) for record in records.values())
    for key in sorted(of_a.keys() & of_b.keys()):
        _add(found, of_a[key], of_b[key])
    same_model = len(found.models_a.keys() | found.models_b.keys()) == 1
    found.moves.sort(key=lambda move: (-move.distance(same_model=same_model), move.where))
    del found.moves[most:]
    return found


def _add(found: Comparison, a: Record, b: Record) -> None:
    found.both += 1
    found.same_class += a["class"] == b["class"]
    found.classes[a["class"], b["class"]] += 1
    found.novelty[bool(a["novel"]), bool(b["novel"])] += 1
    found.same_period += _same_period(a["period"]["value_days"], b["period"]["value_days"])
    found.windows += a["window_id"] == b["window_id"]
    found.moves.append(
        Move(light_curve_of(a), a["energy"], b["energy"], a["energy_percentile"], b["energy_percentile"])
    )


def _chosen(records: Iterable[Record], by: By) -> dict[str, Record]:
    """Return one record a light curve or window: the one in force; none where that is withdrawn."""
    last: dict[str, Record] = {}
    for record in records:
        key = (
            light_curve_of(record)
            if by == "light-curve"
            else f"{light_curve_of(record)}/{record['window_id']}"
        )
        if key not in last or _order(last[key]) <= _order(record):
            last[key] = record
    return {key: record for key, record in last.items() if not record.get("withdrawn", False)}


def _order(record: Record) -> tuple[Any, ...]:
    """Return what the annotation in force has most of: a lost memory begins the revisions at 1 again."""
    revision = record.get("revision", 0)
    return (
        revision > 0,
        record["processed_at"],
        revision,
        record["last_epoch_mjd"],
        record["n_epochs_total"],
    )


def _model(record: Record) -> str:
    return f"{record['model_name']} {record['model_version']} {record['model_digest'][:12]}"


def _same_period(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= _PERIOD_TOLERANCE * a
