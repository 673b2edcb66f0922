"""LSST alerts: which object they belong to, and what is taken from the record."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from broker_plugin.decode import Decoder, Rejected
from broker_plugin.decode.lsst import SOURCE_COLUMNS, version_of
from tests.decode import packets

COLUMN = SOURCE_COLUMNS.index


def test_the_object_counts_before_the_sources_own_id():
    """The published samples leave diaSource.diaObjectId null beside a diaObject with an id."""
    alert = packets.only_alert(packets.lsst_files()["fakeAlert_v11_0"])
    assert alert.object_id == "281323062375219201"
    assert alert.alert_id == "281323062375219200"
    assert alert.schema_version == "11.0"
    assert (alert.ra, alert.dec) == (351.570546978, 0.126243049656)
    assert alert.sources[0, COLUMN["midpointMjdTai"]] == 60902.993305483615
    assert alert.sources[0, COLUMN["psfFlux"]] == 1241.0
    assert math.isnan(alert.sources[0, COLUMN["scienceFlux"]])


@pytest.mark.parametrize("object_id", [None, 0])
@pytest.mark.parametrize("with_object", [True, False])
def test_an_alert_without_an_object_is_rejected_not_malformed(object_id, with_object):
    """Solar-system objects: no diaObject, or one with the id 0."""
    schema, record = packets.lsst_record(1000, diaObjectId=object_id)
    if with_object:
        record["diaObject"]["diaObjectId"] = 0
    else:
        record["diaObject"] = None
    packet = packets.framed(schema, 1000, record)
    decoder = Decoder()
    for _ in range(2):
        (found,) = decoder.decode(packet)
        assert found == Rejected("lsst", "no_object", "diaSource 11 belongs to no diaObject")


def test_the_sources_id_stands_in_for_an_object_that_is_left_out():
    schema, record = packets.lsst_record(900, diaObjectId=77)
    record["diaObject"] = None
    alert = packets.only_alert(packets.framed(schema, 900, record))
    assert alert.object_id == "77"
    assert (alert.ra, alert.dec) == (10.5, -20.25)


def test_all_columns_of_all_tables():
    schema, record = packets.lsst_record(1100)
    source = {
        "midpointMjdTai": 60000.5,
        "band": "z",
        "psfFlux": -5.0,
        "psfFluxErr": 1.5,
        "scienceFlux": 100.0,
        "scienceFluxErr": 2.5,
        "templateFlux": 105.0,
        "templateFluxErr": 0.5,
        "reliability": 0.75,
        "isDipole": True,
        "timeWithdrawnMjdTai": 60001.0,
    }
    record["diaSource"] |= source
    record["prvDiaSources"] = [{**copy.deepcopy(record["diaSource"]), "band": None, "scienceFluxErr": 0.0}]
    named = schema["__named_schemas"]
    forced = packets.blank(named["lsst.v11_0.diaForcedSource"], named)
    record["prvDiaForcedSources"] = [forced | {k: v for k, v in source.items() if k in forced}]
    packet = packets.framed(schema, 1100, record)
    decoder = Decoder()
    expected = [60000.5, 4.0, -5.0, 1.5, 100.0, 2.5, 105.0, 0.5, 0.75, 1.0, 60001.0]
    previous = [60000.5, np.nan, -5.0, 1.5, 100.0, np.nan, *expected[6:]]
    for _ in range(2):
        alert = packets.only_alert(packet, decoder)
        np.testing.assert_array_equal(alert.sources, [expected, previous])
        np.testing.assert_array_equal(
            alert.forced, [[*expected[:6], np.nan, np.nan, np.nan, np.nan, 60001.0]]
        )


def test_old_names_of_fields_are_understood():
    """3.0 and 4.0 write midPointTai, filterName, totFlux and decl."""
    schema, record = packets.lsst_record(300, scienceFlux=8.0, scienceFluxErr=1.0)
    alert = packets.only_alert(packets.framed(schema, 300, record))
    own = alert.sources[0]
    assert own[[COLUMN[n] for n in ("midpointMjdTai", "band", "scienceFlux", "scienceFluxErr")]].tolist() == [
        60900.25, 2.0, 8.0, 1.0,
    ]  # fmt: skip
    assert alert.dec == -20.25


@pytest.mark.parametrize(
    ("place", "name", "value", "said"),
    [
        ("diaSource", "midpointMjdTai", math.nan, "diaSource.midpointMjdTai is nan"),
        ("diaObject", "ra", 361.0, "diaObject.ra is 361.0"),
        ("diaObject", "dec", math.nan, "diaObject.dec is nan"),
    ],
)
def test_a_field_that_no_alert_can_have_is_named(place, name, value, said):
    schema, record = packets.lsst_record(1101)
    record[place][name] = value
    (found,) = Decoder().decode(packets.framed(schema, 1101, record))
    assert found.reason == "bad_field"
    assert said in found.detail


def test_the_version_is_in_the_records_name():
    assert version_of("lsst.v11_1.alert") == "11.1"
    assert version_of("lsst.alert") == "lsst.alert"
