"""An LSST simulation, in both schemas and both framings."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from broker_plugin.archive import iter_packets
from broker_plugin.decode.alert import Alert
from broker_plugin.decode.decoder import Decoder
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.measure import measure
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.simulate import simulate
from broker_plugin.simulate.population import draw_population
from tests.simulate.conftest import LSST_SETTINGS, Simulated


def records(lsst: Simulated) -> list[dict[str, Any]]:
    return [record for packet in lsst.packets for record in fastavro.reader(io.BytesIO(packet.payload))]


def test_packets_are_complete_lsst_alerts(lsst: Simulated) -> None:
    alerts = records(lsst)
    known = set(lsst.truth.object_id)
    sources = {alert["diaSourceId"] for alert in alerts}

    assert len(alerts) == lsst.summary.alerts > 50
    assert len(sources) == lsst.truth.n_alerts.sum()
    assert min(sources) > 2**53  # a JSON number would lose digits
    assert max(sources) < 2**63
    for alert in alerts:
        source = alert["diaSource"]
        assert source["diaSourceId"] == alert["diaSourceId"]
        assert str(source["diaObjectId"]) == str(alert["diaObject"]["diaObjectId"])
        assert str(source["diaObjectId"]) in known
        assert abs(source["psfFlux"]) > 5 * source["psfFluxErr"] * (1 - 1e-6)
        times = [entry["midpointMjdTai"] for entry in alert["prvDiaSources"] or []]
        forced = [entry["midpointMjdTai"] for entry in alert["prvDiaForcedSources"] or []]
        assert all(
            source["midpointMjdTai"] - 365.3 < time < source["midpointMjdTai"] for time in times + forced
        )
        assert set(times) <= set(forced)
        assert alert["diaObject"]["nDiaSources"] >= 1 + len(times)


@pytest.mark.parametrize("framing", ["container", "registry"])
@pytest.mark.parametrize("schema", ["10.0", "11.0"])
def test_magnitudes_follow_the_model_in_every_schema_and_framing(
    tmp_path: Path, schema: str, framing: str
) -> None:
    settings = dataclasses.replace(LSST_SETTINGS, lsst_schema=schema, framing=framing, n_nights=60)
    simulate(settings, tmp_path)
    stars = {star.object_id: star for star in draw_population(settings)[1]}
    decoder = Decoder()
    packets = list(iter_packets([tmp_path]))
    alerts = [decoder.decode(packet.payload)[0] for packet in packets]
    assert {alert.schema_version for alert in alerts if isinstance(alert, Alert)} == {schema}
    pulls: list[float] = []
    for result in measure([alert for alert in alerts if isinstance(alert, Alert)], QualityCuts()).results:
        assert isinstance(result, ObjectPhotometry)
        star = stars[result.object_id]
        for band, epochs in result.bands.items():
            model = star.mean_mag[band] + star.variable.variation(epochs["time_mjd"], band)
            pulls.extend((epochs["mag"] - model) / epochs["magerr"])

    size = np.abs(np.array(pulls))
    assert len(alerts) == len(packets)
    assert size.size > 200
    assert 0.5 < np.median(size) < 0.9  # a Gaussian has 0.67
    assert np.mean(size > 5) < 0.02
