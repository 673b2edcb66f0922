"""The decision between P and 2P is learned from labelled stars, and judged on others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.period.two_minima import MARKS, Decision
from tests.period.curves import contact_binary, night_times, observe, rr_lyrae
from training.cli.main import main


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return contact binaries and RR Lyrae stars, one window each, and a star of another kind."""
    rng = np.random.default_rng(11)
    rows = []
    for number in range(241):
        binary = number % 2 == 0
        period = float(rng.uniform(0.3, 0.6) if binary else rng.uniform(0.45, 0.7))
        time = night_times(rng)
        shape = (lambda phase: contact_binary(phase, 0.02)) if binary else rr_lyrae
        mag, err = observe(rng, shape, period, time, 0.03)
        row = {"star_id": f"s{number}", "superclass": "ECL" if binary else "RRAB", "period": period}
        rows.append({**row, "hjd": time + 2_400_000.5, "mag": mag, "magerr": err})
    rows[-1]["superclass"] = "NOVEL"
    path = tmp_path_factory.mktemp("two-minima") / "stars.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def _run(*arguments: object):
    return CliRunner().invoke(main, ["two-minima", *(str(one) for one in arguments)])


def test_a_decision_is_learned_judged_and_written(stars: Path, tmp_path: Path) -> None:
    """Shapes this different are told apart on stars that the fit did not see."""
    out = tmp_path / "made" / "decision.json"

    result = _run("--data", stars, "--out", out, "--bar", 0.0, "--processes", 2)

    assert result.exit_code == 0, result.output
    right = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[1:]}
    assert set(right) == {"ECL", "RRAB"}
    assert all(int(count) >= 100 and float(fraction) >= 0.97 for count, fraction in right.values())
    fields = json.loads(out.read_text())
    assert fields["source"].startswith("stars.parquet, sha256 ")
    decision = Decision(**{key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})
    assert decision.log_odds(np.array(decision.centre)).shape == ()
    assert len(decision.quadratic) == len(MARKS) * (len(MARKS) + 1) // 2


def test_data_that_cannot_teach_it_are_refused(stars: Path, tmp_path: Path) -> None:
    """No such column; too few stars."""
    result = _run("--data", stars, "--out", tmp_path / "x.json", "--column", "gaia")
    assert result.exit_code != 0
    assert "no period column 'gaia'" in result.output
    few = tmp_path / "few.parquet"
    pd.read_parquet(stars).iloc[:20].to_parquet(few)
    result = _run("--data", few, "--out", tmp_path / "x.json")
    assert result.exit_code != 0
    assert "at least 200" in result.output
    assert not (tmp_path / "x.json").exists()
