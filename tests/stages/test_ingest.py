"""The ingest stage over batches of messages: outputs in order, dead letters whole, everything counted."""

from __future__ import annotations

import struct

import pytest

from broker_plugin.photometry import QualityCuts
from broker_plugin.records.codec import decode_dead_letter, decode_photometry
from broker_plugin.records.epoch import Origin
from broker_plugin.runner.protocols import Message, Stage, StepResult
from broker_plugin.stages.ingest import IngestStage
from tests.decode import packets


class NoState:
    """Fails whoever touches it: this stage has no state."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def stage(**options: object) -> IngestStage:
    made: Stage = IngestStage(["ztf_20231012_programid1"], "vsc", **options)
    assert isinstance(made, IngestStage)
    return made


def messages(*values: bytes | None) -> list[Message]:
    return [
        Message("ztf_20231012_programid1", 3, 100 + i, b"k%d" % i, value, 1700000000000 + i, (("h", b"1"),))
        for i, value in enumerate(values)
    ]


def counts(result: StepResult) -> dict[tuple[str, ...], float]:
    return {(o.name, *o.labels.values()): o.value for o in result.observations}


def test_a_packet_becomes_photometry_keyed_by_its_object():
    result = stage().step(messages(packets.ztf_files()["v4_2475433850215010008"]), NoState())
    (output,) = result.outputs
    assert (output.topic, output.key, output.partition) == ("vsc.photometry", b"ztf/ZTF19aainpua", None)
    photometry = decode_photometry(output.value)
    assert photometry.object_id == "ZTF19aainpua"
    assert photometry.alert_id == "2475433850215010008"
    assert set(photometry.bands) == {"g", "r"}
    own = photometry.bands["g"][photometry.bands["g"]["origin"] == Origin.DETECTION]
    assert own["mag"] == pytest.approx([18.4974], abs=1e-4)
    assert own["version"].tolist() == [round(photometry.alert_time_mjd * 86_400_000)]
    assert len(output.value) < 4000  # out of a packet of 77 000 bytes


def test_unusable_bytes_become_dead_letters_with_their_origin():
    truncated = packets.ztf_archive()[0][:-100]
    unknown = struct.pack(">bI", 0, 4200) + b"\x00" * 20
    batch = messages(b"\xff garbage", truncated, unknown, None)
    result = stage().step(batch, NoState())
    assert [output.topic for output in result.outputs] == ["vsc.dead-letters"] * 4
    letters = [decode_dead_letter(output.value) for output in result.outputs]
    assert [letter.reason for letter in letters] == ["wrong_framing", "truncated", "unknown_schema", "empty"]
    for letter, message, output in zip(letters, batch, result.outputs, strict=True):
        assert letter.stage == "ingest"
        assert (letter.topic, letter.partition, letter.offset) == (message.topic, 3, message.offset)
        assert (letter.key, letter.value, letter.headers) == (message.key, message.value, message.headers)
        assert letter.timestamp_ms == message.timestamp_ms
        assert output.key == message.key
    assert "4200" in letters[2].detail


def test_a_batch_of_everything_is_counted():
    ztf = packets.ztf_files()
    schema, record = packets.lsst_record(1000, scienceFlux=1000.0, scienceFluxErr=10.0)
    lsst = packets.framed(schema, 1000, record)
    record["diaObject"] = None
    asteroid = packets.framed(schema, 1000, record)
    near = ztf["v4_2475433850015015001"]  # ssdistnr 0
    sample = packets.lsst_files()["fakeAlert_v7_4"]
    own = ztf["v4_2475433850215010008"]
    result = stage().step(messages(own, near, b"junk", lsst, asteroid, sample), NoState())
    assert [output.key for output in result.outputs] == [b"ztf/ZTF19aainpua", b"k2", b"lsst/12"]
    found = counts(result)
    assert found["alerts_consumed_total", "ztf"] == 2
    assert found["alerts_consumed_total", "lsst"] == 3
    assert found["alerts_consumed_total", "unknown"] == 1
    assert found["alerts_rejected_total", "solar_system"] == 1
    assert found["alerts_rejected_total", "no_object"] == 1
    assert found["alerts_rejected_total", "no_usable_epoch"] == 1
    assert found["dead_letters_total", "wrong_framing", "ingest"] == 1
    assert found["epochs_ingested_total", "detection", "lsst"] == 1
    assert found["epochs_ingested_total", "detection", "ztf"] == 1
    assert found["epochs_rejected_total", "time_out_of_range"] == 3
    epochs = sum(len(e) for e in decode_photometry(result.outputs[0].value).bands.values())
    ingested = sum(v for key, v in found.items() if (key[0], key[-1]) == ("epochs_ingested_total", "ztf"))
    assert ingested == epochs


def test_all_real_packets_pass_through():
    real = packets.real_packets()
    result = stage().step(messages(*real), NoState())
    found = counts(result)
    assert not any(key[0] == "dead_letters_total" for key in found)
    assert found["alerts_consumed_total", "ztf"] + found["alerts_consumed_total", "lsst"] == len(real)
    rejected = sum(value for key, value in found.items() if key[0] == "alerts_rejected_total")
    assert len(result.outputs) + rejected == len(real)
    assert len(result.outputs) > 30


def test_a_step_repeated_after_an_abort_gives_the_same():
    """The second time schemas are at hand and packets are scanned: not a byte may differ."""
    ingest = stage()
    batch = messages(*packets.real_packets(), b"junk")
    first = ingest.step(batch, NoState())
    assert ingest.step(batch, NoState()) == first


def test_cuts_reach_the_photometry():
    batch = messages(packets.ztf_files()["739260766315010006"])  # rb 0.447
    strict, loose = stage(), stage(cuts=QualityCuts(min_rb=0.0))
    assert ("epochs_ingested_total", "detection", "ztf") not in counts(strict.step(batch, NoState()))
    assert counts(loose.step(batch, NoState()))["epochs_ingested_total", "detection", "ztf"] == 1


def test_several_alerts_in_one_message():
    schema, record = packets.ztf_record()
    packet = packets.container(schema, [record, {**record, "objectId": ""}, {**record, "objectId": "ZTF2"}])
    result = stage().step(messages(packet), NoState())
    assert [output.topic for output in result.outputs] == [
        "vsc.photometry",
        "vsc.dead-letters",
        "vsc.photometry",
    ]
    assert [output.key for output in result.outputs] == [b"ztf/ZTF19aainpua", b"k0", b"ztf/ZTF2"]


def test_a_message_has_one_dead_letter_however_many_of_its_alerts_are_bad():
    """A letter holds the whole message: one for each alert would turn a megabyte into gigabytes."""
    schema, record = packets.ztf_record()
    packet = packets.container(
        schema, [{**record, "objectId": ""}, record, *[{**record, "objectId": ""}] * 4]
    )
    result = stage().step(messages(packet, packet), NoState())
    assert [output.topic for output in result.outputs] == ["vsc.dead-letters", "vsc.photometry"] * 2
    letter = decode_dead_letter(result.outputs[0].value)
    assert (letter.reason, letter.value) == ("bad_field", packet)
    assert "and 4 more" in letter.detail
    found = counts(result)
    assert found["dead_letters_total", "bad_field", "ingest"] == 2
    assert found["alerts_consumed_total", "unknown"] == 2
    assert found["alerts_consumed_total", "ztf"] == found["alerts_published_total", "ztf"] == 2


def test_an_empty_batch_and_the_hooks_do_nothing():
    ingest = stage()
    result = ingest.step([], NoState())
    assert (list(result.outputs), list(result.observations)) == ([], [])
    assert list(ingest.partition_opened(0, NoState())) == []
    assert list(ingest.partition_closed(0, NoState())) == []
    assert (ingest.name, ingest.changelog_topic) == ("ingest", None)
    assert list(ingest.input_topics) == ["ztf_20231012_programid1"]
