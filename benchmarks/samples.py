"""What the rows work on: real packets and light curves where they are, simulated ones elsewhere."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np

from benchmarks.stage_costs import CountingState, packets_of
from broker_plugin.app.stages import build_stages
from broker_plugin.archive import iter_packets
from broker_plugin.config import load_config
from broker_plugin.decode.container import embedded_schema, header_end, read_blocks, read_metadata
from broker_plugin.records.codec import encode_photometry
from broker_plugin.records.epoch import FloatArray, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.protocols import Message, Stage
from broker_plugin.simulate.settings import SimulationSettings

SIMULATED = "simulated by broker_plugin.simulate"


def real_data() -> Path:
    """Return the folder of real data that the tests use, too; it may not be there."""
    return Path(os.environ.get("BROKER_PLUGIN_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of one survey, each a container.

    Attributes
    ----------
    payloads : list of bytes
    about : str
        Where they are from.
    """

    payloads: list[bytes]
    about: str


def packets(survey: str, *, simulated: bool = False) -> dict[str, Packets]:
    """Return the packets of a survey by their schema's version; real ones if they are there."""
    folder = real_data() / "alerts" / survey
    if simulated or not folder.exists():
        return {"simulated": Packets(_simulated(survey), SIMULATED)}
    groups: dict[str, list[bytes]] = {}
    for packet in iter_packets([folder]):
        if packet.payload[:3] == b"Obj":
            groups.setdefault(_version(packet.payload), []).append(packet.payload)
    return {name: Packets(found, f"{len(found)} real") for name, found in sorted(groups.items())}


def _simulated(survey: str) -> list[bytes]:
    nights = {"ztf": 60, "lsst": 150}[survey]
    settings = SimulationSettings(n_objects=4, n_nights=nights, seed=11, stamp_bytes=13_000)
    if survey == "lsst":
        settings = SimulationSettings(
            n_objects=2, n_nights=nights, seed=11, stamp_bytes=10_000, survey="lsst", framing="container"
        )
    return packets_of(settings)[-200:]


def _version(container: bytes) -> str:
    schema, _ = embedded_schema(read_metadata(container))
    return str(schema.get("version") or schema["name"].split(".")[-2].removeprefix("v").replace("_", "."))


def bodies(containers: Sequence[bytes]) -> tuple[Any, list[bytes]]:
    """Return the writer's schema of containers of one version, and their records without the containers."""
    schema, codec = embedded_schema(read_metadata(containers[0]))
    records = [block.payload for data in containers for block in read_blocks(data, header_end(data), codec)]
    return schema, records


def readers(containers: Sequence[bytes]) -> dict[str, Callable[[], Callable[[], object]]]:
    """Return how others decode containers of one schema: whole records, no photometry.

    Each is built when it is called, and then reads all packets at each call.
    """
    schema, records = bodies(containers)

    def with_schema() -> Callable[[], object]:
        parsed = fastavro.parse_schema(json.loads(json.dumps(schema)), {})
        return lambda: [fastavro.schemaless_reader(io.BytesIO(record), parsed) for record in records]

    def with_cavro() -> Callable[[], object]:
        import cavro

        # ZTF's schema gives a float the default null, which cavro's strict options refuse.
        parsed = cavro.Schema(json.dumps(schema), options=cavro.PERMISSIVE_OPTIONS)
        return lambda: [parsed.binary_decode(record) for record in records]

    return {
        "fastavro.reader": lambda: lambda: [list(fastavro.reader(io.BytesIO(data))) for data in containers],
        "fastavro.schemaless_reader, schema kept": with_schema,
        "cavro, schema kept": with_cavro,
    }


def messages(values: Sequence[bytes], topic: str = "t") -> list[Message]:
    """Return values as a consumer would bring them."""
    return [Message(topic, 0, offset, None, value) for offset, value in enumerate(values)]


def stages(*names: str, **settings: str) -> list[Stage]:
    """Build stages as ``broker-plugin run`` does, with settings by their environment names."""
    environment = {f"BROKER_PLUGIN_{name}": value for name, value in settings.items()}
    return build_stages(load_config(None, environment), list(names))


@dataclass(frozen=True, slots=True)
class Curve:
    """A light curve in time order; arrays of shape (n,), days and magnitudes."""

    time_mjd: FloatArray
    mag: FloatArray
    magerr: FloatArray


def curves(count: int, n_epochs: int, *, seed: int = 3) -> list[Curve]:
    """Return light curves of a survey that visits every third night, with one daily and one yearly gap.

    Half vary with a period between an hour and a hundred days, with two harmonics; the rest is red or white.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        nights = np.cumsum(rng.exponential(3.0, 3 * n_epochs))
        nights = np.floor(nights[(nights % 365.25) < 240.0])[:n_epochs]
        time = np.sort(59_000.0 + nights + rng.uniform(0.1, 0.4, len(nights)))
        angle = 2.0 * np.pi * time / 10.0 ** rng.uniform(-1.3, 2.0)
        light = np.cos(angle) + 0.4 * np.cos(2.0 * angle + 1.0)
        if number % 2:
            light = np.cumsum(rng.normal(0.0, 0.1, len(time))) * rng.integers(2)
        error = np.full(len(time), 0.02)
        mag = 15.0 + rng.uniform(0.1, 0.5) * light + rng.normal(0.0, 0.03, len(time))
        found.append(Curve(time, mag.astype(np.float32).astype(np.float64), error))
    return found


def photometry_record(
    object_id: str, curve: Curve, *, survey: str = "ztf", last: int | None = None, alert: int = 0
) -> tuple[bytes, bytes]:
    """Return key and value of a photometry record with epochs of one band; ``last``: only so many of them."""
    chosen = slice(None) if last is None else slice(-last, None)
    epochs = make_epochs(
        curve.time_mjd[chosen],
        curve.mag[chosen],
        curve.magerr[chosen],
        version=round(float(curve.time_mjd[-1]) * 86_400_000),
    )
    record = ObjectPhotometry(
        survey, object_id, str(alert), float(curve.time_mjd[-1]), 120.0, -30.0, {"r": epochs}
    )
    return object_key(survey, object_id), encode_photometry(record)


def windows(count: int, n_epochs: int = 200) -> list[bytes]:
    """Return records of the lightcurves topic, as accumulate makes them."""
    (accumulate,) = stages("accumulate")
    records = [
        photometry_record(f"ZTF{n:09d}", curve, alert=n)[1] for n, curve in enumerate(curves(count, n_epochs))
    ]
    result = accumulate.step(messages(records), CountingState())
    return [o.value for o in result.outputs if o.topic.endswith(".lightcurves") and o.value]
