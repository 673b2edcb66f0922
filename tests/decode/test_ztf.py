"""ZTF alerts: what is taken from the record, and which records are no alerts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from broker_plugin.decode import Decoder
from broker_plugin.decode.ztf import FORCED_COLUMNS, SOURCE_COLUMNS
from tests.decode import packets

SOURCE = SOURCE_COLUMNS.index
FORCED = FORCED_COLUMNS.index


def test_the_candidate_comes_first_and_keeps_its_digits():
    alert = packets.only_alert(packets.ztf_files()["v4_2475433850215010008"])
    own = alert.sources[0]
    assert own[SOURCE["jd"]] == 2460229.9338542
    assert own[SOURCE["fid"]] == 1
    assert own[SOURCE["isdiffpos"]] == -1.0  # 'f'
    assert own[SOURCE["magpsf"]] == np.float32(19.919450759887695)
    assert own[SOURCE["magnr"]] == np.float32(18.238000869750977)
    assert own[SOURCE["distnr"]] == np.float32(0.019054042175412178)
    assert alert.object_id == "ZTF19aainpua"
    assert math.isnan(alert.solar_system_arcsec)  # -999


def test_non_detections_stay_as_rows_without_a_magnitude():
    alert = packets.only_alert(packets.ztf_files()["472263571115115000"])
    assert alert.sources.shape == (12, len(SOURCE_COLUMNS))
    assert np.isnan(alert.sources[1:, SOURCE["magpsf"]]).all()
    assert not np.isnan(alert.sources[:, SOURCE["jd"]]).any()


def test_forced_photometry_that_is_missing_is_nan():
    alert = packets.only_alert(packets.ztf_files()["v4_2475433850015010009"])
    lost = alert.forced[3]
    assert lost[FORCED["procstatus"]] == 61
    for name in ("forcediffimflux", "forcediffimfluxunc", "magnr", "sigmagnr", "distnr"):
        assert math.isnan(lost[FORCED[name]]), name
    assert lost[FORCED["magzpsci"]] == np.float32(26.064300537109375)


@pytest.mark.parametrize(
    "sentinel", [100.0, 99.0, -99999.0, -999.0, 0.0, math.nan, math.inf, -math.inf, None]
)
@pytest.mark.parametrize("name", ["magnr", "sigmagnr", "magpsf", "sigmapsf"])
def test_every_word_for_missing_becomes_nan(name, sentinel):
    if sentinel is None and name in ("magpsf", "sigmapsf"):
        sentinel = math.nan  # not nullable in a candidate
    schema, record = packets.ztf_record()
    record["candidate"][name] = sentinel
    alert = packets.only_alert(packets.container(schema, [record]))
    assert math.isnan(alert.sources[0, SOURCE[name]])


def test_zero_is_a_value_where_it_is_one():
    schema, record = packets.ztf_record()
    record["candidate"] |= {"rb": 0.0, "drb": 0.0, "nbad": 0, "distnr": 0.0, "ssdistnr": 0.0}
    record["fp_hists"][0]["forcediffimflux"] = 0.0
    alert = packets.only_alert(packets.container(schema, [record]))
    assert [alert.sources[0, SOURCE[name]] for name in ("rb", "drb", "nbad", "distnr")] == [0.0] * 4
    assert alert.forced[0, FORCED["forcediffimflux"]] == 0.0
    assert alert.solar_system_arcsec == 0.0


def test_a_large_negative_forced_flux_is_no_sentinel():
    schema, record = packets.ztf_record()
    record["fp_hists"][0]["forcediffimflux"] = -250000.0
    alert = packets.only_alert(packets.container(schema, [record]))
    assert alert.forced[0, FORCED["forcediffimflux"]] == -250000.0


@pytest.mark.parametrize(
    ("text", "sign"), [("t", 1.0), ("1", 1.0), ("f", -1.0), ("0", -1.0), ("?", math.nan)]
)
def test_both_spellings_of_the_sign(text, sign):
    schema, record = packets.ztf_record()
    record["candidate"]["isdiffpos"] = text
    np.testing.assert_equal(
        packets.only_alert(packets.container(schema, [record])).sources[0, SOURCE["isdiffpos"]], sign
    )


def test_the_oldest_packets_carry_no_version():
    schema, record = packets.ztf_record("schema_3.3")
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "schemavsn"]
    del record["schemavsn"]
    alert = packets.only_alert(packets.container(schema, [record]))
    assert alert.schema_version == "unversioned"
    assert alert.object_id == "ZTF17aaajnnn"


def test_ids_of_64_bits_survive():
    schema, record = packets.ztf_record()
    record["candid"] = 2**63 - 1
    packet = packets.container(schema, [record])
    decoder = Decoder()
    for _ in range(2):  # whole, then by scan
        assert packets.only_alert(packet, decoder).alert_id == "9223372036854775807"


@pytest.mark.parametrize(
    ("place", "name", "value", "said"),
    [
        ("", "objectId", "", "objectId is ''"),
        ("", "objectId", "ZTF18abcdefg/r", "objectId is 'ZTF18abcdefg/r'"),
        ("", "objectId", "ZTF18abc\ndefg", "objectId is 'ZTF18abc"),
        ("", "objectId", "x" * 70_000, "objectId is 'xxx"),
        ("candidate", "jd", math.nan, "candidate.jd is nan"),
        ("candidate", "jd", math.inf, "candidate.jd is nan"),
        ("candidate", "ra", math.nan, "candidate.ra is nan"),
        ("candidate", "ra", -1.0, "candidate.ra is -1.0"),
        ("candidate", "dec", 91.0, "candidate.dec is 91.0"),
    ],
)
def test_a_field_that_no_alert_can_have_is_named_with_its_value(place, name, value, said):
    schema, record = packets.ztf_record()
    (record[place] if place else record)[name] = value
    packet = packets.container(schema, [record])
    decoder = Decoder()
    for _ in range(2):
        (found,) = decoder.decode(packet)
        assert found.reason == "bad_field"
        assert said in found.detail


@pytest.mark.parametrize(
    ("name", "kind", "value", "said"),
    [
        ("objectId", ["null", "string"], None, "objectId is None"),
        ("objectId", "long", 7, "objectId is 7"),
        ("candid", "string", "7", "candid is '7'"),
        ("candid", ["null", "long"], None, "candid is None"),
        ("candidate", "string", "none", "candidate is 'none'"),
        ("candidate", {"type": "array", "items": "long"}, [1], "candidate holds a value that is no record"),
        ("candidate", ["null", "long"], None, "candidate is None"),
        ("prv_candidates", {"type": "array", "items": "long"}, [1], "prv_candidates"),
    ],
)
def test_a_field_of_another_type_is_named_with_its_value(name, kind, value, said):
    """A schema may call a field as ZTF does and mean something else."""
    schema, record = packets.ztf_record()
    for field in schema["fields"]:
        if field["name"] == name:
            field["type"] = kind
            field.pop("default", None)
    record[name] = value
    packet = packets.container(schema, [record])
    decoder = Decoder()
    for _ in range(2):
        (found,) = decoder.decode(packet)
        assert found.reason == "bad_field", found
        assert said in found.detail


def test_a_number_written_as_text_is_refused():
    schema, record = packets.ztf_record()
    (candidate,) = (field["type"] for field in schema["fields"] if field["name"] == "candidate")
    for field in candidate["fields"]:
        if field["name"] == "magpsf":
            field["type"] = "string"
    record["candidate"]["magpsf"] = "18.5"
    (found,) = Decoder().decode(packets.container(schema, [record]))
    assert (found.reason, found.detail) == ("bad_field", "magpsf is '18.5'; expected a number")
