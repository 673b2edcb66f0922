"""The accumulate stage as a pure step: batches and repetitions of records change nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_dead_letter, decode_window, encode_photometry
from broker_plugin.records.epoch import Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.protocols import Message, StepResult
from broker_plugin.stages.accumulate import AccumulateStage
from tests.lightcurve.stores import exposures


class DictState:
    """The runner's state protocol over a dictionary."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, bytes], bytes] = {}

    def get(self, partition, key):
        return self.values.get((partition, key))

    def put(self, partition, key, value):
        if value is None:
            self.values.pop((partition, key), None)
        else:
            self.values[partition, key] = value

    def scan(self, partition, prefix):
        held = sorted(self.values.items())
        yield from ((key, v) for (p, key), v in held if p == partition and key.startswith(prefix))


def message(offset: int, value: bytes, partition: int = 0) -> Message:
    return Message("t.photometry", partition, offset, b"key", value)


def photometry(object_id: str, slots: list[int], version: int, bands: str = "r") -> bytes:
    epochs = make_epochs(
        exposures(slots),
        15 + np.sin(slots),
        np.full(len(slots), 0.01),
        origin=[Origin.FORCED] * (len(slots) - 1) + [Origin.DETECTION],
        version=version,
    )
    return encode_photometry(
        ObjectPhotometry(
            "ztf", object_id, str(version), 58000.0 + version, 10.0, -3.0, {band: epochs for band in bands}
        )
    )


def stream(n_alerts: int) -> list[Message]:
    """Two objects in turn, each alert repeating a fortnight of forced history."""
    return [
        message(i, photometry(f"ZTF18aaaaaa{'ab'[i % 2]}", list(range(max(0, i // 2 - 14), i // 2 + 1)), i))
        for i in range(n_alerts)
    ]


def run(stage: AccumulateStage, state: DictState, batches: list[list[Message]]) -> list[StepResult]:
    return [stage.step(batch, state) for batch in batches]


def totals(results: list[StepResult]) -> Counter:
    counter: Counter = Counter()
    for result in results:
        for o in result.observations:
            counter[o.name, tuple(sorted(o.labels.items()))] += o.value
    return counter


@settings(max_examples=15)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.data())
def test_windows_and_state_do_not_depend_on_batches_or_repetition(sizes, data) -> None:
    """The same records in one batch, and cut anywhere with some records read again at once."""
    records = stream(420)
    whole_state, cut_state = DictState(), DictState()
    whole = run(AccumulateStage("t", WindowSettings()), whole_state, [records])

    batches, start = [], 0
    while start < len(records):
        for size in sizes:
            batch = records[start : start + size]
            batches.append(batch + batch[: data.draw(st.integers(0, 2))])
            start += size
    cut = run(AccumulateStage("t", WindowSettings()), cut_state, batches)

    assert [o.value for r in cut for o in r.outputs] == [o.value for r in whole for o in r.outputs]
    assert cut_state.values == whole_state.values
    assert len([o for r in whole for o in r.outputs]) == 2


def test_window_carries_object_alert_and_epochs() -> None:
    """The 200th epoch of one object makes its window due, keyed by the object."""
    (result,) = run(AccumulateStage("t", WindowSettings()), DictState(), [stream(399)])

    (output,) = result.outputs
    window = decode_window(output.value)
    assert (output.topic, output.key) == ("t.lightcurves", object_key("ztf", "ZTF18aaaaaaa"))
    assert (window.object_id, window.band, window.alert_id) == ("ZTF18aaaaaaa", "r", "398")
    assert len(window.epochs) == window.n_epochs_total == 200
    assert (np.diff(window.epochs["time_mjd"]) > 0).all()


def test_bands_are_separate_light_curves() -> None:
    """A packet with two bands feeds two windows."""
    records = [message(i, photometry("ZTF18aaaaaaa", [i], i, bands="gr")) for i in range(200)]

    (result,) = run(AccumulateStage("t", WindowSettings()), DictState(), [records])

    assert sorted(decode_window(o.value).band for o in result.outputs) == ["g", "r"]


def test_gauges_follow_objects_from_waiting_to_ready_and_through_a_restart() -> None:
    """What the steps counted is what a census of the restored state counts."""
    stage, state = AccumulateStage("t", WindowSettings()), DictState()
    counted = totals(run(stage, state, [stream(399)]))
    census = totals([StepResult(observations=list(stage.partition_opened(0, state)))])

    expected = {
        ("objects", (("state", "ready"),)): 1,
        ("objects", (("state", "waiting"),)): 1,
        ("object_progress_ratio", (("le", "1.5"),)): 1,
        ("object_progress_ratio", (("le", "0.995"),)): 1,
    }
    gauges = ("objects", "object_progress_ratio")
    assert {key: n for key, n in counted.items() if key[0] in gauges and n} == expected
    assert census == expected
    assert totals([StepResult(observations=list(stage.partition_closed(0, state)))]) == {
        key: -n for key, n in expected.items()
    }


def test_conservation_of_epochs() -> None:
    """Every epoch that came in is added, a repetition, or rejected."""
    records = stream(399)
    counted = totals(run(AccumulateStage("t", WindowSettings()), DictState(), [records]))

    came_in = sum(min(i // 2 + 1, 15) for i in range(399))
    by_name = Counter()
    for (name, _), n in counted.items():
        by_name[name] += n
    assert by_name["epochs_added_total"] == 399
    assert by_name["epochs_added_total"] + by_name["epochs_duplicate_total"] == came_in


def test_unusable_records_and_epochs_are_put_aside() -> None:
    """Garbage becomes a dead letter with its bytes; NaN, zero errors never reach a light curve."""
    bad = make_epochs([58000, 58001, 58002], [np.nan, 15, 15], [0.1, 0.0, 0.1])
    record = ObjectPhotometry("ztf", "ZTF18aaaaaaa", "1", 58000.0, 10.0, -3.0, {"r": bad})
    batch = [message(0, b"garbage"), message(1, encode_photometry(record)), message(2, b"")]
    state = DictState()

    (result,) = run(AccumulateStage("t", WindowSettings()), state, [batch])

    letters = [decode_dead_letter(output.value) for output in result.outputs]
    assert [(x.reason, x.offset, x.value) for x in letters] == [
        ("undecodable_photometry", 0, b"garbage"),
        ("undecodable_photometry", 2, b""),
    ]
    counted = totals([result])
    assert counted["epochs_rejected_total", (("reason", "non_finite"),)] == 2
    assert counted["dead_letters_total", (("reason", "undecodable_photometry"), ("stage", "accumulate"))] == 2
