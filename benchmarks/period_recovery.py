"""How often the period search is right: by class, from windows of 200 epochs and from whole light curves.

The reference is the column ``period`` of the parquet. Printed: light curves, the fraction within 1 % of P, of
P, P/2 or 2P, of P/2, of 2P, within 5 % of P, the fraction called significant, and milliseconds each.
``--astropy N`` does the same with astropy's Lomb-Scargle, one and three terms, on the same grid for N of the
windows; ``--shuffles N`` compares the false-alarm probability with its rate on shuffled magnitudes.

    python benchmarks/period_recovery.py --data asas_variables.parquet --per-class 60
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from broker_plugin.period import PeriodSettings
from training.period_recovery import (
    Recovery,
    every,
    false_alarms,
    read_samples,
    recovery_of_astropy,
    recovery_of_search,
)


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    settings = PeriodSettings()
    for whole in (False, True) if arguments.whole else (False,):
        samples = read_samples(
            arguments.data, arguments.per_class, arguments.seed, whole=whole, groups=arguments.groups
        )
        print("\nwhole light curves" if whole else "\nwindows of 200 epochs")  # noqa: T201
        _print_table(recovery_of_search(samples, settings))
        if whole:
            continue
        if arguments.astropy:
            few = every(samples, arguments.astropy)
            print(f"\non {len(few)} of these windows")  # noqa: T201
            found = recovery_of_search(few, settings) + recovery_of_astropy(few, settings)
            _print_table(_all_classes(found))
        if arguments.shuffles:
            print(f"\nshuffled magnitudes, {arguments.shuffles} windows: rate at or below each probability")  # noqa: T201
            rates = false_alarms(samples, settings, arguments.shuffles, arguments.seed)
            for level, (rate, error) in rates.items():
                print(f"{level:8.3f}{rate:10.4f} +- {error:.4f}")  # noqa: T201


def _all_classes(found: list[Recovery]) -> list[Recovery]:
    """Return one row a method: the mean over its light curves."""
    rows = []
    for method in dict.fromkeys(one.method for one in found):
        of = [one for one in found if one.method == method]
        n = [one.n for one in of]
        names = ("exact", "within_factor_2", "half", "double", "within_5_percent", "milliseconds")
        means = {name: float(np.average([getattr(one, name) for one in of], weights=n)) for name in names}
        rows.append(Recovery(superclass="all", method=method, n=sum(n), significant=None, **means))
    return rows


def _print_table(rows: Iterable[Recovery]) -> None:
    print("method            class        n    P 1%  P,P/2,2P    P/2     2P   P 5%  signif     ms")  # noqa: T201
    for row in rows:
        significant = "-" if row.significant is None else f"{row.significant:.3f}"
        print(  # noqa: T201
            f"{row.method:18}{row.superclass:8}{row.n:6d}{row.exact:8.3f}{row.within_factor_2:10.3f}{row.half:7.3f}"
            f"{row.double:7.3f}{row.within_5_percent:7.3f}{significant:>8}{row.milliseconds:7.1f}"
        )


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--data", type=Path, required=True, help="parquet of labelled light curves")
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", choices=("all", "even", "odd"), default="all", help="half of the stars")
    parser.add_argument("--whole", action="store_true", help="all epochs of each star, too")
    parser.add_argument("--astropy", type=int, default=0, metavar="N", help="windows to run astropy on")
    parser.add_argument("--shuffles", type=int, default=0, metavar="N", help="shuffled windows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
