"""What a whole run tells the metrics: every name and label known, and the counters balance."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry

from broker_plugin.app.stages import build_stages
from broker_plugin.archive.packets import iter_packets
from broker_plugin.config import load_config
from broker_plugin.metrics import Metrics
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings
from tests.integration.pipeline import committed, create_topics, publish, run_until_idle


def test_counters_of_a_run_balance(tmp_path) -> None:
    """Strict metrics raise on a name or label they do not know; in is out plus rejected plus dead."""
    settings = replace(demo_settings(seed=2), n_objects=6, damaged_fraction=0.02)
    simulated = simulate(settings, tmp_path / "nights", None)
    bus = MemoryBus()
    alerts = create_topics(bus, "t", partitions=2)
    publish(bus, alerts, (packet.payload for packet in iter_packets([tmp_path / "nights"])))
    registry = CollectorRegistry()
    config = load_config(None, {"BROKER_PLUGIN_PREFIX": "t"})
    run_until_idle(bus, "t", build_stages(config), sensor=Metrics(registry, strict=True))

    def total(name: str, **labels: str) -> float:
        samples = [s for family in registry.collect() for s in family.samples]
        return sum(
            s.value
            for s in samples
            if s.name == f"broker_plugin_{name}" and labels.items() <= s.labels.items()
        )

    photometry = len(committed(bus, "t", "photometry"))
    assert total("alerts_consumed_total") == simulated.alerts
    dead = total("dead_letters_total")
    assert dead > 0
    assert total("alerts_consumed_total") == photometry + total("alerts_rejected_total") + dead

    ingested = total("epochs_ingested_total")
    assert ingested == total("epochs_added_total") + total("epochs_duplicate_total")
    assert total("windows_emitted_total") == total("annotations_total") + total("windows_skipped_total") > 0
    assert total("annotations_total") == total("periods_total") == total("energy_count")
    # Every stage has left its group, and took its objects out of the gauges.
    assert total("objects") == total("partitions_owned") == 0
