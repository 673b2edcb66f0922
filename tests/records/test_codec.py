"""Records survive their bytes, in both framings, and damaged bytes are told, never guessed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.records import codec, label, object_annotation, schemas
from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.color import BandMean
from broker_plugin.records.match import CatalogueMatch
from tests.records import examples

SAMPLES = Path(__file__).parent / "samples"

KINDS = {
    "photometry": (examples.PHOTOMETRY, codec.encode_photometry, codec.decode_photometry),
    "lightcurve": (examples.WINDOW, codec.encode_window, codec.decode_window),
    "classification": (
        examples.ANNOTATION,
        lambda value, framing: codec.encode_classification(value, 1_767_225_600_000, framing),
        codec.decode_classification,
    ),
    "novelty": (
        examples.NOVELTY,
        lambda value, framing: codec.encode_novelty(value, 1_767_225_600_000, framing),
        codec.decode_novelty,
    ),
    "dead_letter": (examples.DEAD_LETTER, codec.encode_dead_letter, codec.decode_dead_letter),
    "label": (examples.LABEL, label.encode_label, label.decode_label),
    "object": (
        examples.OBJECT,
        lambda value, framing: object_annotation.encode_object(value, 1_767_225_600_000, framing),
        object_annotation.decode_object,
    ),
}


def assert_same(left: object, right: object) -> None:
    """Compare values field by field, arrays to the byte."""
    if isinstance(left, np.ndarray):
        assert isinstance(right, np.ndarray)
        assert (left.dtype, left.tobytes()) == (right.dtype, right.tobytes())
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif is_dataclass(left):
        for field in fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name))
    else:
        assert left == right


@pytest.mark.parametrize("framing", ["single-object", "container"])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind, framing) -> None:
    """Every field of every record comes back, 64-bit ids and float64 times exactly."""
    value, encode, decode = KINDS[kind]

    assert_same(decode(encode(value, framing)), value)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_values_are_equal_bytes(kind) -> None:
    """A replay writes the same bytes again, container's sync marker included."""
    value, encode, _ = KINDS[kind]

    assert encode(value, "container") == encode(value, "container")


@pytest.mark.parametrize("kind", KINDS)
def test_any_avro_library_reads_the_container(kind) -> None:
    """A consumer knows nothing of this package."""
    value, encode, _ = KINDS[kind]

    records = list(fastavro.reader(io.BytesIO(encode(value, "container"))))

    assert len(records) == 1


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.avro")), ids=lambda path: path.name)
def test_samples_of_every_schema_version_decode(path) -> None:
    """Bytes written by earlier releases are read by this one."""
    kind = path.name.split(".")[0]
    value, _, decode = KINDS[kind]

    assert_same(decode(path.read_bytes()), value)


def test_every_schema_version_has_a_sample() -> None:
    """A new version of a schema comes with a sample of it."""
    versions = {
        f"{p.parent.name}.{p.stem}" for kind in KINDS for p in (schemas.schema_directory() / kind).glob("*")
    }

    assert {path.stem for path in SAMPLES.glob("*.avro")} == versions


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(["single-object", "container"]), st.data())
def test_damaged_bytes_raise_value_error_only(kind, framing, data) -> None:
    """Truncated, flipped or foreign bytes: either a record or a ValueError, nothing else."""
    value, encode, decode = KINDS[kind]
    damaged = bytearray(encode(value, framing))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        decode(bytes(damaged[:cut]))
    except ValueError:
        return


def test_neighbours_survive_and_are_none_before_the_second_version() -> None:
    """Training stars with their distances; bytes of the first version have none."""
    near = (Neighbour("ASAS 123456-1234.5", "RRAB", 0.25), Neighbour("LINEAR 7", "RRCD", 1.5))
    annotation = replace(examples.ANNOTATION, neighbours=near)
    assert codec.decode_classification(codec.encode_classification(annotation, 0)) == annotation
    old = codec.decode_classification((SAMPLES / "classification.v1.avro").read_bytes())
    assert old.neighbours == ()


def test_what_is_known_of_the_star_survives() -> None:
    """A catalogue's star, half of it not known, and mean magnitudes; older records have neither."""
    match = CatalogueMatch("V1", 0.25, True, "RRab", 0.5, gaia_bp_rp=0.75)
    means = {"g": BandMean(15.5, None, 1), "r": BandMean(15.0, 0.125, 200)}
    annotation = replace(
        examples.ANNOTATION,
        catalogue_name="mine",
        catalogue_digest="cd" * 32,
        catalogue_match=match,
        band_means=means,
    )
    assert codec.decode_classification(codec.encode_classification(annotation, 0)) == annotation
    record = next(fastavro.reader(io.BytesIO(codec.encode_classification(annotation, 0))))
    assert record["catalogue_match"]["class"] == "RRab"
    assert record["catalogue_match"]["gaia_abs_g_mag"] is None
    window = replace(examples.WINDOW, band_means=means)
    assert codec.decode_window(codec.encode_window(window)).band_means == means
    assert window.window_id == examples.WINDOW.window_id
    old = codec.decode_classification((SAMPLES / "classification.v2.avro").read_bytes())
    assert (old.catalogue_name, old.catalogue_match, old.band_means) == (None, None, None)
    assert codec.decode_window((SAMPLES / "lightcurve.v1.avro").read_bytes()).band_means is None


def test_foreign_schema_is_named() -> None:
    """A fingerprint that is not shipped is told with what is."""
    with pytest.raises(ValueError, match=r"0000000000000000 is not a shipped photometry schema \(v1.avsc\)"):
        codec.decode_photometry(b"\xc3\x01" + bytes(8) + b"xyz")


def test_columns_of_unequal_length_are_refused() -> None:
    """A producer forgot one value."""
    record = schemas.decode("photometry", codec.encode_photometry(examples.PHOTOMETRY))
    record["bands"][0]["mag"].pop()

    with pytest.raises(ValueError, match="columns of unequal length in band g"):
        codec.decode_photometry(schemas.encode("photometry", record, "single-object"))


def test_ids_are_functions_of_the_content() -> None:
    """The window's id changes with an epoch, the annotation's with the model."""
    moved = examples.WINDOW.epochs.copy()
    moved["mag"][0] += 0.01
    assert replace(examples.WINDOW, epochs=moved).window_id != examples.WINDOW.window_id
    assert replace(examples.WINDOW, alert_id="1").window_id == examples.WINDOW.window_id
    other = replace(examples.ANNOTATION, model_digest="cd" * 32)
    assert other.annotation_id != examples.ANNOTATION.annotation_id


def test_another_kind_of_record_is_told_in_one_short_line() -> None:
    """A novelty where a classification is expected: the message does not quote two schemas."""
    with pytest.raises(ValueError, match="not a classification record") as error:
        codec.decode_classification(codec.encode_novelty(examples.NOVELTY, 0))
    assert len(str(error.value)) < 300


def test_revisions_survive_and_nobody_counted_them_before_the_third_version() -> None:
    """What supersedes what, and a withdrawal; bytes of earlier versions say nothing of it."""
    revised = replace(
        examples.ANNOTATION, revision=3, supersedes="ab" * 16, changes=("class", "period"), withdrawn=True
    )
    assert codec.decode_classification(codec.encode_classification(revised, 0)) == revised
    old = codec.decode_classification((SAMPLES / "classification.v2.avro").read_bytes())
    assert (old.revision, old.supersedes, old.changes, old.withdrawn) == (0, None, (), False)
    assert old.annotation_id == examples.ANNOTATION.annotation_id


def test_what_a_withdrawal_left_survives() -> None:
    """No epoch at all, and the times of what is gone; windows of the first version withdrew nothing."""
    left = replace(examples.WINDOW, kind="withdrawal", epochs=examples.EPOCHS[:0], withdrawn_mjd=(58000.5,))
    assert_same(codec.decode_window(codec.encode_window(left)), left)
    assert codec.decode_window((SAMPLES / "lightcurve.v1.avro").read_bytes()).withdrawn_mjd == ()


def test_equal_values_are_equal_bytes_in_every_process() -> None:
    """Whatever order Python's sets have: a worker that takes over writes what the one before it wrote."""
    program = (
        "import sys; from tests.records.examples import ANNOTATION;"
        "from broker_plugin.records.codec import encode_classification;"
        "sys.stdout.buffer.write(encode_classification(ANNOTATION, 0))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1
