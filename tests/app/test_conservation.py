"""The balances of a run: they hold for a real one, and a single record that goes astray shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from broker_plugin.app import offline_replay
from broker_plugin.app.conservation import Counts, balances
from broker_plugin.archive.packets import iter_packets
from broker_plugin.config import load_config
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings


def counts(*rows: tuple[str, int, dict[str, str]]) -> Counts:
    return Counter({(name, tuple(sorted(labels.items()))): n for name, n, labels in rows})


@pytest.fixture
def sound() -> Counts:
    """Ten packets: one holds two alerts, one stopped a step, and something of everything besides."""
    return counts(
        ("packets_consumed_total", 9, {}),
        ("alerts_consumed_total", 8, {"survey": "ztf"}),
        ("alerts_consumed_total", 2, {"survey": "unknown"}),
        ("alerts_published_total", 7, {"survey": "ztf"}),
        ("alerts_rejected_total", 1, {"reason": "no_object"}),
        ("dead_letters_total", 2, {"stage": "ingest", "reason": "truncated"}),
        ("dead_letters_total", 1, {"stage": "ingest", "reason": "unexpected_error"}),
        ("photometry_consumed_total", 7, {}),
        ("epochs_ingested_total", 30, {"survey": "ztf", "origin": "detection"}),
        ("epochs_added_total", 20, {"survey": "ztf", "band": "r", "origin": "detection"}),
        ("epochs_duplicate_total", 6, {"survey": "ztf"}),
        ("epochs_expired_total", 3, {"survey": "ztf"}),
        ("epochs_rejected_total", 1, {"reason": "non_finite"}),
        ("epochs_rejected_total", 99, {"reason": "low_rb"}),
        ("windows_emitted_total", 5, {"survey": "ztf", "band": "r", "kind": "latest"}),
        ("windows_emitted_total", 2, {"survey": "lsst", "band": "r", "kind": "withdrawal"}),
        ("withdrawals_total", 2, {}),
        ("annotations_total", 3, {"class": "EW"}),
        ("windows_skipped_total", 1, {"reason": "constant"}),
        ("dead_letters_total", 1, {"stage": "score", "reason": "undecodable_window"}),
    )


def test_everything_is_accounted_for(sound) -> None:
    sheets = {sheet.what: sheet for sheet in balances(sound, packets=10)}
    assert list(sheets) == ["packets", "alerts", "photometry", "epochs", "windows"]
    assert all(sheet.balanced for sheet in sheets.values())
    assert str(sheets["packets"]) == "10 packets = 9 read + 1 dead: unexpected_error"
    assert str(sheets["alerts"]) == "10 alerts = 7 published + 1 rejected: no_object + 2 dead: truncated"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("packets_consumed_total", "packets"),
        ("alerts_consumed_total", "alerts"),
        ("alerts_rejected_total", "alerts"),
        ("photometry_consumed_total", "photometry"),
        ("epochs_duplicate_total", "epochs"),
        ("epochs_added_total", "epochs"),
        ("annotations_total", "windows"),
        ("withdrawals_total", "windows"),
        ("windows_emitted_total", "windows"),
    ],
)
@pytest.mark.parametrize("change", [1, -1])
def test_one_too_many_or_too_few_shows(sound, name, what, change) -> None:
    key = next(key for key in sound if key[0] == name)
    sound[key] += change
    (wrong,) = (sheet for sheet in balances(sound, packets=10) if not sheet.balanced)
    assert wrong.what == what
    assert abs(wrong.missing) == 1
    assert str(wrong).endswith("not accounted for")


def test_epochs_in_dead_photometry_are_unknown(sound) -> None:
    """Nobody can say how many there were, so nothing is claimed of them."""
    sound["dead_letters_total", (("reason", "unexpected_error"), ("stage", "accumulate"))] = 1
    sound["photometry_consumed_total", ()] -= 1
    sheets = balances(sound)
    assert [sheet.what for sheet in sheets] == ["alerts", "photometry", "windows"]
    assert all(sheet.balanced for sheet in sheets)


def test_an_offline_run_balances(tmp_path) -> None:
    """Simulated nights with damaged packets, from the archive to the annotations."""
    settings = replace(demo_settings(seed=3), n_objects=4, bands=("r",), damaged_fraction=0.05)
    simulated = simulate(settings, tmp_path / "nights", None)
    packets = (packet.payload for packet in iter_packets([tmp_path / "nights"]))
    summary = offline_replay(packets, load_config(None, {}), tmp_path / "out")

    sheets = balances(summary.counts, packets=summary.alerts)
    assert [str(sheet) for sheet in sheets if not sheet.balanced] == []
    assert sheets[0].came_in == simulated.alerts
    assert all(sheet.came_in > 0 for sheet in sheets)
    assert any(where.startswith("dead: ") for where in sheets[1].went)


def test_annotations_of_bands_are_combined_or_accounted_for() -> None:
    """Four published, one a repeat to the combination and one damaged; without the stage no balance."""
    published = ("annotations_published_total", 4, {"change": "new"})
    assert not any(b.what == "annotations" for b in balances(counts(published)))
    rows = [
        published,
        ("combined_total", 2, {"periods": "single"}),
        ("combined_withheld_total", 1, {"reason": "repeated"}),
        ("dead_letters_total", 1, {"stage": "combine", "reason": "undecodable_annotation"}),
    ]
    balance = balances(counts(*rows))[-1]
    assert (balance.what, balance.balanced) == ("annotations", True)
    assert balances(counts(*rows[:-1]))[-1].missing == 1
