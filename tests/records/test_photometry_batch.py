"""Records of a batch are read as each is read alone, whichever program wrote them."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.records.codec import decode_photometry, encode_photometry
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.photometry_batch import PacketHead, PhotometryBatch, decode_photometry_batch
from tests.records import examples


def unpacked(batch: PhotometryBatch, number: int) -> ObjectPhotometry:
    """Return one record of a batch in the form that it has when it is decoded alone."""
    packet = batch.packets[number]
    assert isinstance(packet, PacketHead)
    bands = {rows.band: batch.epochs[rows.start : rows.stop] for rows in packet.bands}
    return ObjectPhotometry(
        packet.survey,
        packet.object_id,
        packet.alert_id,
        packet.alert_time_mjd,
        packet.ra,
        packet.dec,
        bands,
    )


def written(one: ObjectPhotometry) -> str:
    """Return all of a record as text: NaN is equal to NaN there."""
    return f"{replace(one, bands={})} { {band: rows.tobytes() for band, rows in one.bands.items()} }"


def refused(error: ValueError) -> str:
    """Return the message, without the addresses of objects that fastavro quotes."""
    return "ValueError: " + re.sub(r"0x[0-9a-f]+", "0x", str(error))


def alone(value: bytes) -> str:
    """Return what decoding one record says: the record, or the error."""
    try:
        return written(decode_photometry(value))
    except ValueError as error:
        return refused(error)


def told(batch: PhotometryBatch, number: int) -> str:
    """Return what a batch says of one record, as :func:`alone` does."""
    packet = batch.packets[number]
    return refused(packet) if isinstance(packet, ValueError) else written(unpacked(batch, number))


def photometry(n_epochs: int, bands: str = "gr") -> ObjectPhotometry:
    rng = np.random.default_rng(n_epochs)
    epochs = make_epochs(
        58000 + np.sort(rng.uniform(0, 30, n_epochs)),
        rng.uniform(14, 20, n_epochs),
        rng.uniform(0.01, 0.2, n_epochs),
        origin=rng.integers(0, 3, n_epochs),
        version=5_011_200_000_000,
    )
    return replace(examples.PHOTOMETRY, bands={band: epochs for band in bands})


@pytest.mark.parametrize("n_epochs", [1, 63, 64, 300])  # counts of one and of two bytes
def test_each_record_is_as_alone(n_epochs) -> None:
    """Between records of other sizes, in the other framing, without a band, and one that is damaged."""
    values = [
        encode_photometry(photometry(3, "i")),
        b"garbage",
        encode_photometry(photometry(n_epochs)),
        encode_photometry(photometry(5), "container"),
        None,
        encode_photometry(replace(examples.PHOTOMETRY, bands={})),
        encode_photometry(photometry(n_epochs, "ugrizy")),
    ]

    batch = decode_photometry_batch(values)

    assert [told(batch, number) for number in range(7)] == [alone(value or b"") for value in values]
    assert isinstance(batch.packets[1], ValueError)


@given(st.data())
def test_damage_is_found_or_read_as_alone(data) -> None:
    """Truncated or flipped bytes: the batch says what decoding the record alone says."""
    damaged = bytearray(encode_photometry(photometry(4)))
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    value = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])

    batch = decode_photometry_batch([encode_photometry(photometry(2)), value])

    assert told(batch, 1) == told(decode_photometry_batch([value]), 0)
    assert told(batch, 1) == alone(value)


def test_what_this_program_writes_takes_the_fast_way(monkeypatch) -> None:
    """With a new version of the schema the fast reader must learn it, or nothing is fast any more."""
    monkeypatch.setattr("broker_plugin.records.photometry_batch.decode_photometry", pytest.fail)

    batch = decode_photometry_batch([encode_photometry(photometry(70))])

    assert len(batch.epochs) == 140


def test_arrays_in_several_blocks_are_read() -> None:
    """Another library's Avro: the times in two blocks."""
    value = encode_photometry(photometry(2, "g"))
    times = photometry(2).bands["g"]["time_mjd"].tolist()
    whole = b"\x04" + struct.pack("<2d", *times)
    assert value.count(whole) == 1
    blocks = b"".join(b"\x02" + struct.pack("<d", time) for time in times)

    batch = decode_photometry_batch([value.replace(whole, blocks)])

    assert told(batch, 0) == alone(value)
