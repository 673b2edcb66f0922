"""A bundle whose calibration rests on periods of another search is told of, and used all the same."""

from __future__ import annotations

import logging

import pytest

from broker_plugin.app.stages import build_stages
from broker_plugin.config import Config
from broker_plugin.model import bundle_path, load_bundle
from broker_plugin.period.digest import another_search, search_digest


def _warnings(bundle: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    config = Config.model_validate({"score": {"bundle": bundle}})
    with caplog.at_level(logging.WARNING):
        build_stages(config, ["score"])
    return [record.getMessage() for record in caplog.records if "period search" in record.getMessage()]


def test_the_shipped_bundle_was_calibrated_with_todays_search(caplog: pytest.LogCaptureFixture) -> None:
    """Who changes the search calibrates the bundle again, or every user reads a warning."""
    assert _warnings("default", caplog) == []


def test_a_bundle_of_another_search_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """By its name, with both digests, and what helps."""
    manifest = load_bundle(bundle_path("paper")).manifest
    said = _warnings("paper", caplog)

    assert len(said) == 1
    for word in (manifest.name, manifest.provenance.search_digest, search_digest(), "training calibrate"):
        assert word in said[0]


def test_no_search_is_no_other_search() -> None:
    """Imported weights rest on no search; today's is today's."""
    assert another_search("") is None
    assert another_search(search_digest()) is None
    assert another_search("0123456789ab") is not None
