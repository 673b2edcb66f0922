"""Tables of found periods."""

from __future__ import annotations

import numpy as np

from training.report.results import Results
from training.report.table import Table
from training.text_tables import number


def recovery_table(results: Results) -> Table:
    """Return how many periods are found, by class."""
    rows = [
        (
            one.superclass,
            str(one.n),
            number(one.exact),
            number(one.within_factor_2),
            number(one.half),
            number(one.double),
            number(one.within_5_percent),
            number(one.significant),
            f"{one.milliseconds:.0f} ms",
        )
        for one in results.recovery
    ]
    return Table(
        "Found periods",
        "Search on single windows of 200 epochs against the column 'period'; fractions within 1 % if not "
        "said otherwise. Times are wall-clock of one process on a machine that may have been busy.",
        ("class", "windows", "P", "P, P/2 or 2P", "P/2", "2P", "P within 5 %", "significant", "a window"),
        rows,
    )


def method_table(results: Results) -> Table:
    """Return how many are found and how fast, by method."""
    rows = []
    everything = results.recovery_same + results.recovery_astropy
    for method in dict.fromkeys(one.method for one in everything):
        of = [one for one in everything if one.method == method]
        n = np.array([one.n for one in of], dtype=float)

        def mean(name: str, of: list = of, n: np.ndarray = n) -> float:  # type: ignore[type-arg]
            return float(np.average([getattr(one, name) for one in of], weights=n))

        rows.append(
            (
                method,
                str(int(n.sum())),
                number(mean("exact")),
                number(mean("within_factor_2")),
                f"{mean('milliseconds'):.0f} ms",
            )
        )
    return Table(
        "Found periods against astropy",
        "The same windows of all classes, the same frequency grid; astropy's highest peak, fast methods.",
        ("method", "windows", "P", "P, P/2 or 2P", "a window"),
        rows,
    )
