"""Every metric of the plugin: name, kind, meaning, labels, buckets.

Names and units follow https://prometheus.io/docs/practices/naming: seconds and bytes, ``_total`` on counters
and on nothing else. Labels have a small fixed set of values: an object's id never becomes one. A name here
is an interface: dashboards and alert rules of other people use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from broker_plugin.stages.accumulate import PROGRESS_BUCKETS

PREFIX = "broker_plugin_"

Kind = Literal["counter", "moved", "set", "histogram", "age", "population", "drift", "asked", "info"]
"""What becomes of an observation.

counter
    The value is added.
moved, set
    A gauge moves by the value, or is set to it.
histogram
    The value is observed.
age
    The value is a moment, in seconds since 1970; what is observed is the time since then. As observations are
    applied after their batch has committed, that is the time until a reader could see the result.
population
    A histogram of what there is now, so its counts fall, too: one bucket moves by the value.
drift
    The value joins the newest ones of its feature; what is shown is how far they are from the training's.
asked
    A gauge that is computed when it is scraped; no observation makes it.
info
    Always 1; the labels are the message.
"""

# From a laptop's batch of one to a stalled cluster; seconds.
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
# A stream in step takes seconds, one that catches up takes hours.
_DELAYS = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 6 * _HOUR),
)
# Rubin promises alerts 60 s after the shutter closes, ZTF's take some 10 minutes; the last are an archive's.
_EXPOSURE_DELAYS = (
    *(10.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY),
)
# Energies of known stars lie within a few units of zero, novel ones far above; a drift moves the body.
_ENERGIES = (
    *(-40.0, -30.0, -20.0, -15.0, -10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0, 20.0),
    *(50.0, 100.0, 1000.0, 1e4),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table.

    Attributes
    ----------
    kind : Kind
    help : str
        One sentence, shown to whoever scrapes.
    labels : tuple of str
    buckets : tuple of float
        Of a histogram, an age or a population: upper limits, inclusive.
    """

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: Mapping[str, Metric] = {
    # ingest
    "packets_consumed_total": Metric("counter", "Messages of the survey read; one may hold several alerts."),
    "alerts_consumed_total": Metric("counter", "Alert packets read and decoded.", ("survey",)),
    "alerts_published_total": Metric("counter", "Alerts whose photometry was published.", ("survey",)),
    "alerts_rejected_total": Metric("counter", "Alerts without use, no fault of theirs.", ("reason",)),
    "epochs_ingested_total": Metric("counter", "Epochs taken from alerts.", ("survey", "origin")),
    "epochs_rejected_total": Metric("counter", "Epochs that failed a quality cut.", ("reason",)),
    "dead_letters_total": Metric("counter", "Records put aside as unusable.", ("stage", "reason")),
    # accumulate
    "photometry_consumed_total": Metric("counter", "Records of photometry read."),
    "epochs_added_total": Metric("counter", "Epochs new to a light curve.", ("survey", "band", "origin")),
    "epochs_duplicate_total": Metric("counter", "Epochs that were held already.", ("survey",)),
    "epochs_expired_total": Metric(
        "counter", "Epochs older than what a full light curve keeps: not taken.", ("survey",)
    ),
    "objects": Metric("moved", "Light curves held: waiting for 200 epochs, or ready.", ("state",)),
    "object_progress_ratio": Metric(
        "population", "Light curves held, by epochs / 200; 1 is ready.", ("le",), PROGRESS_BUCKETS
    ),
    "windows_emitted_total": Metric("counter", "Windows sent to scoring.", ("survey", "band", "kind")),
    # score
    "windows_consumed_total": Metric("counter", "Windows read."),
    "windows_skipped_total": Metric("counter", "Windows that cannot be scored.", ("reason",)),
    "annotations_total": Metric("counter", "Windows scored, by class.", ("class",)),
    "annotations_published_total": Metric("counter", "Annotations published, by what is new.", ("change",)),
    "annotations_withheld_total": Metric("counter", "Windows that said nothing new.", ("reason",)),
    "withdrawals_total": Metric("counter", "Withdrawals that left too little to be scored."),
    "novelties_total": Metric("counter", "Windows above the novelty threshold."),
    "novelty_expected_ratio": Metric("set", "Share of known stars that the model calls novel, calibrated."),
    "energy": Metric("histogram", "Sample energy; high is novel.", (), _ENERGIES),
    "drift_psi": Metric(
        "drift", "Population stability index of the newest windows against the training's.", ("feature",)
    ),
    "drift_windows": Metric("asked", "Windows behind each drift_psi; none is shown below 500."),
    "catalogue_matches_total": Metric("counter", "Windows by what the catalogue knows.", ("outcome",)),
    "periods_total": Metric("counter", "Periods by how they were found.", ("outcome",)),
    # combine
    "combined_total": Metric(
        "counter", "Annotations of whole objects, by how the bands' periods agree.", ("periods",)
    ),
    "combined_novelties_total": Metric("counter", "Those below the p-value of novelty."),
    "combined_withheld_total": Metric("counter", "Annotations of bands that changed nothing.", ("reason",)),
    "exposure_to_publish_seconds": Metric(
        "age", "From mid-exposure of the alert to its annotation.", ("survey",), _EXPOSURE_DELAYS
    ),
    "consume_to_publish_seconds": Metric(
        "age", "From ingest's reading of the alert to its annotation.", ("survey",), _DELAYS
    ),
    # deliver
    "outputs_total": Metric("counter", "Annotations judged for an output.", ("output", "outcome")),
    "forwarded_total": Metric("counter", "Records taken to another cluster.", ("output", "outcome")),
    "forward_failures_total": Metric("counter", "Attempts that took nothing there.", ("output", "reason")),
    # the runner, of every stage
    "batch_records": Metric("histogram", "Records in a batch.", ("stage",), _SIZES),
    "step_seconds": Metric("histogram", "A stage's work on a batch.", ("stage",), _DURATIONS),
    "transaction_seconds": Metric("histogram", "From begin to end.", ("stage", "outcome"), _DURATIONS),
    "transactions_total": Metric("counter", "Transactions by their end.", ("stage", "outcome")),
    "consumer_lag": Metric("set", "Records not yet committed.", ("stage", "topic", "partition")),
    "partitions_owned": Metric("moved", "Partitions of this worker.", ("stage",)),
    "rebalances_total": Metric("counter", "Partitions came or went.", ("stage", "kind")),
    "records_expired_total": Metric("counter", "Deleted before they were read.", ("stage", "topic")),
    "rejoins_total": Metric("counter", "Clients replaced after an error.", ("stage", "reason")),
    "restore_ratio": Metric("set", "Restored share of the changelog, 0 to 1.", ("stage", "partition")),
    "state_damages_total": Metric("counter", "Local caches found damaged, wiped and restored.", ("stage",)),
    "state_bytes": Metric("set", "Local state on disk.", ("stage", "partition")),
    "state_disk_free_bytes": Metric("asked", "Room on the disk of the state directory."),
    "state_disk_size_bytes": Metric("asked", "Size of the disk of the state directory."),
    "changelog_written_bytes_total": Metric("counter", "Keys and values sent to the changelog.", ("stage",)),
    "changelog_records": Metric(
        "set", "Offsets a restore reads at most; compaction removes records.", ("stage", "partition")
    ),
    "last_turn_timestamp_seconds": Metric("set", "When a stage's loop last turned.", ("stage",)),
    "ready": Metric("asked", "1 if /readyz says so."),
    # what runs
    "build_info": Metric("info", "Version of the plugin.", ("version", "python")),
    "model_info": Metric("info", "The model that scores.", ("name", "version", "digest", "runtime")),
    "config_info": Metric("info", "The effective configuration.", ("digest", "prefix", "worker", "stages")),
}
