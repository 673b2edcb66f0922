"""Every real packet, through ingest on a real Kafka."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from broker_plugin.archive.packets import iter_packets
from broker_plugin.records.codec import decode_dead_letter, decode_photometry
from broker_plugin.records.epoch import EpochArray, Origin
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.stages.ingest import IngestStage
from tests.integration.pipeline import committed, create_topics, publish, run_until_idle
from tests.shared import shared_path

pytestmark = pytest.mark.kafka

GARBAGE = (b"", b"\x00\x00\x00\x04\xd2abc", b"Obj\x01garbage", bytes(range(256)))


@pytest.fixture
def ingested(kafka_bus, prefix) -> tuple[int, list, list]:
    """All packets of the archive folder and some garbage: (packets, photometry, dead letters)."""
    packets = [packet.payload for packet in iter_packets([shared_path("alerts")])]
    alerts = create_topics(kafka_bus, prefix)
    publish(kafka_bus, alerts, [*packets, *GARBAGE])
    run_until_idle(kafka_bus, prefix, [IngestStage([alerts], prefix)])
    photometry = [(m.key, decode_photometry(m.value)) for m in committed(kafka_bus, prefix, "photometry")]
    letters = [decode_dead_letter(m.value) for m in committed(kafka_bus, prefix, "dead-letters")]
    return len(packets), photometry, letters


def epoch(
    photometry: list[tuple[bytes, ObjectPhotometry]], alert_id: str, band: str, jd: float
) -> EpochArray:
    """Return the epoch of one alert nearest to a Julian date (barycentric times differ by up to 8.4 min)."""
    found = next(p for _, p in photometry if p.alert_id == alert_id)
    epochs = found.bands[band]
    nearest = epochs[np.abs(epochs["time_mjd"] - (jd - 2400000.5)).argmin()]
    assert abs(nearest["time_mjd"] - (jd - 2400000.5)) < 0.0062
    return nearest


def test_all_real_packets_become_photometry_worked_out_by_hand(ingested) -> None:
    """Detections above and below the reference, and a forced point; garbage beside them stops nothing."""
    n_packets, photometry, letters = ingested

    # Nine alerts hold nothing for us: asteroids, and samples without a usable flux. None is lost in silence.
    assert n_packets == 45
    assert len(photometry) == 36
    assert sorted(letter.value for letter in letters) == sorted(GARBAGE)
    assert all(letter.stage == "ingest" and letter.detail for letter in letters)
    assert all(key == object_key(p.survey, p.object_id) for key, p in photometry)

    # ZTF19aainpua: isdiffpos f, magpsf 19.91945 +- 0.19826 below magnr 18.238 +- 0.018:
    # u = 10^(-0.4 18.238) - 10^(-0.4 19.91945) = 5.0676e-8 - 1.0770e-8 = 3.9906e-8
    negative = epoch(photometry, "2475433850215010008", "g", 2460229.9338542)
    reference, difference = 10 ** (-0.4 * 18.238000869750977), 10 ** (-0.4 * 19.919450759887695)
    by_hand = -2.5 * math.log10(reference - difference)
    assert by_hand == pytest.approx(18.49742, abs=1e-5)
    assert negative["mag"] == pytest.approx(by_hand, abs=2e-6)
    assert negative["magerr"] == pytest.approx(0.0581871, abs=1e-6)
    assert negative["origin"] == Origin.DETECTION

    # ZTF17aaajnnn: isdiffpos t, magpsf 18.36186 +- 0.09404 above magnr 16.426 +- 0.015.
    positive = epoch(photometry, "472263571115115000", "r", 2458226.7635764)
    assert positive["mag"] == pytest.approx(16.257268, abs=2e-6)
    assert positive["magerr"] == pytest.approx(0.0186576, abs=1e-6)

    # ZTF19aainpua's forced point at jd 2460217.9497106, no detection: -160.5719 +- 147.7335 DN at zero point
    # 26.2784; the reference of 18.238 mag has 10^(0.4 (26.2784 - 18.238)) = 1644.98 DN, in all 1484.41 DN.
    forced = epoch(photometry, "2475433850215010008", "g", 2460217.9497106)
    assert forced["mag"] == pytest.approx(18.349519, abs=2e-6)
    assert forced["magerr"] == pytest.approx(0.1098822, abs=1e-6)
    assert forced["origin"] == Origin.FORCED

    # At jd 2460225.9424769 the packet has both a previous detection (19.5206 below 17.805, that is 18.05538)
    # and a forced point (-465.6 DN, that is 18.05774): one exposure, and the detection counts.
    both = epoch(photometry, "2475433850215010008", "r", 2460225.9424769)
    assert both["mag"] == pytest.approx(18.055380, abs=2e-6)
    assert both["origin"] == Origin.PREVIOUS


def test_alerts_of_one_object_share_a_partition(kafka_bus, prefix, ingested) -> None:
    """The survey's topic has no keys; ours has, so one worker owns an object."""
    partitions: dict[bytes, set[int]] = {}
    for message in committed(kafka_bus, prefix, "photometry"):
        partitions.setdefault(message.key, set()).add(message.partition)

    assert all(len(found) == 1 for found in partitions.values())
    assert len(Counter(p for found in partitions.values() for p in found)) > 1
