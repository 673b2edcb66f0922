"""From LSST's packets to readers: a source that the survey withdraws takes back what was said on it."""

from __future__ import annotations

import copy
import io
import struct
from pathlib import Path

import fastavro

from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_classification, decode_window
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.ingest import IngestStage
from tests.decode import packets
from tests.integration.pipeline import committed, create_topics, publish, run_until_idle
from tests.stages.judging import judging_stage

_SCHEMA = 1100  # 11.0


def lsst_packets(visits: int, withdrawn: int) -> list[bytes]:
    """Return an alert a visit of one star; the last one names an earlier source as withdrawn."""
    usual = {"band": "r", "psfFlux": 10.0, "psfFluxErr": 1.0, "scienceFluxErr": 5.0, "isDipole": False}
    schema, record = packets.lsst_record(_SCHEMA, **usual)
    parsed = fastavro.parse_schema(copy.deepcopy(schema), {})
    found = []
    for visit in range(visits):
        source = {"midpointMjdTai": 60000.0 + visit, "scienceFlux": 1000.0 + visit % 7}
        record["diaSource"] |= source
        if visit == visits - 1:
            gone = {"midpointMjdTai": 60000.0 + withdrawn, "timeWithdrawnMjdTai": 60300.0}
            record["prvDiaSources"] = [record["diaSource"] | gone]
        stream = io.BytesIO(struct.pack(">bI", 0, _SCHEMA))
        stream.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(stream, parsed, record)
        found.append(stream.getvalue())
    return found


def test_a_withdrawn_source_takes_its_annotation_back(tmp_path: Path) -> None:
    """200 visits make a window; the 201st alert withdraws one source, the next one another."""
    bus = MemoryBus()
    alerts = create_topics(bus, "t", partitions=1)

    def run(*values: bytes) -> None:
        publish(bus, alerts, values)
        stages = [IngestStage([alerts], "t"), AccumulateStage("t", WindowSettings()), judging_stage()]
        run_until_idle(bus, "t", stages, tmp_path)

    run(*lsst_packets(201, withdrawn=50))
    run(lsst_packets(201, withdrawn=60)[-1])

    windows = [decode_window(m.value) for m in committed(bus, "t", "lightcurves")]
    assert [(w.kind, len(w.epochs), len(w.withdrawn_mjd)) for w in windows] == [
        ("latest", 200, 0), ("latest", 200, 1), ("withdrawal", 199, 1)
    ]  # fmt: skip
    told = [decode_classification(m.value) for m in committed(bus, "t", "classifications")]
    assert [(a.object_id, a.revision, a.changes, a.withdrawn) for a in told] == [
        ("12", 1, ("new",), False), ("12", 2, ("epochs",), False), ("12", 3, ("withdrawn",), True)
    ]  # fmt: skip
