"""Wrong settings are one clear line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.errors import ConfigurationError, InputError
from broker_plugin.simulate import SimulationSettings, simulate
from broker_plugin.simulate.population import share_kinds


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"survey": "atlas"}, "survey 'atlas' is unknown; choose from ztf, lsst"),
        ({"bands": ("y",)}, "bands 'y' is unknown; choose from g, r, i"),
        ({"mixture": {"SN": 1.0}}, "mixture 'SN' is unknown"),
        ({"mixture": {"M": 0.0}}, "one must be above zero"),
        ({"mixture": {"M": -1.0, "SR": 3.0}}, "must not be negative"),
        ({"n_objects": 0}, "n_objects = 0 is out of range"),
        ({"duplicate_fraction": 1.5}, "duplicate_fraction = 1.5 is out of range"),
        ({"framing": "registry"}, "use framing 'container'"),
        ({"survey": "lsst", "lsst_schema": "3.0"}, "choose from 10.0, 11.0"),
    ],
)
def test_wrong_settings_say_what_is_right(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        SimulationSettings(**wrong)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("")
    with pytest.raises(InputError, match="taken"):
        simulate(SimulationSettings(n_objects=1, n_nights=1), place)


@given(
    st.dictionaries(st.sampled_from(["M", "SR", "EW", "RRAB", "RCB"]), st.floats(0.1, 10), min_size=1),
    st.integers(1, 500),
)
def test_shares_add_up_and_are_within_one_of_exact(mixture: dict[str, float], count: int) -> None:
    kinds = share_kinds(mixture, count)
    assert len(kinds) == count
    for kind, weight in mixture.items():
        assert abs(kinds.count(kind) - count * weight / sum(mixture.values())) < 1
