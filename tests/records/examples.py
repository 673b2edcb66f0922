"""One full value of each record kind."""

from __future__ import annotations

import numpy as np

from broker_plugin.records.annotation import Annotation, Novelty, PeriodCandidate, PeriodReport
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.label import Label
from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.object_annotation import BandOpinion, ObjectAnnotation
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.window import Window

EPOCHS = make_epochs(
    [58000.123456789, 58001.5], [15.25, 15.5], [0.01, 0.02], origin=[2, 0], version=5_011_200_000_000
)

PHOTOMETRY = ObjectPhotometry(
    survey="lsst",
    object_id=str(2**63 - 1),
    alert_id=str(2**63 - 1),
    alert_time_mjd=58000.123456789,
    ra=359.999999,
    dec=-89.5,
    bands={"g": EPOCHS, "y": EPOCHS[:1]},
)

WINDOW = Window(
    survey="ztf",
    object_id="ZTF18abcdefg",
    band="r",
    ra=1.5,
    dec=-2.5,
    alert_id="595147624915010001",
    alert_time_mjd=58001.5,
    kind="latest",
    n_epochs_total=220,
    epochs=EPOCHS,
)

ANNOTATION = Annotation(
    survey="ztf",
    object_id="ZTF18abcdefg",
    band="r",
    ra=1.5,
    dec=-2.5,
    window_id=WINDOW.window_id,
    alert_id="595147624915010001",
    alert_time_mjd=58001.5,
    n_epochs_total=220,
    first_epoch_mjd=58000.0,
    last_epoch_mjd=58001.5,
    n_epochs=200,
    period=PeriodReport(None, 0.5, "search", -1.5, (PeriodCandidate(0.5, 0.4, "peak"),)),
    probabilities={"CEPH": 0.25, "ECL": 0.75},
    predicted_class="ECL",
    energy=12.5,
    energy_percentile=97.5,
    p_value=None,
    novel_80=True,
    novel_95=True,
    novel=True,
    responsible_component="ECL",
    euclidean=0.5,
    cosine=0.25,
    mean_mag=15.5,
    std_mag=0.5,
    quality_flags=("no_significant_period",),
    model_name="default",
    model_version="1",
    model_digest="ab" * 32,
    code_version="0.1.0",
)

NOVELTY = Novelty(
    annotation=ANNOTATION,
    time_mjd=np.array([58000.0, 58001.5]),
    mag=np.array([15.0, 16.0], dtype=np.float32),
    magerr=np.array([0.01, 0.02], dtype=np.float32),
    phase=np.array([0.0, 0.5]),
    reconstruction_mag=np.array([15.1, 15.9], dtype=np.float32),
)

DEAD_LETTER = DeadLetter(
    stage="ingest",
    reason="wrong_framing",
    detail="bytes start with 00112233",
    topic="ztf_20260101_programid1",
    partition=3,
    offset=2**40,
    timestamp_ms=1_767_225_600_000,
    key=None,
    value=bytes(range(256)),
    headers=(("producer_timestamp", b"1767225600000"),),
)

LABEL = Label(
    label_id="0123456789abcdef0123456789abcdef",
    survey="lsst",
    object_id=str(2**63 - 1),
    band="g",
    ra=359.999999,
    dec=-89.5,
    verdict="known",
    class_="RRAB",
    comment="Blazhko? période instable",
    author="A. Astronomer",
    labelled_at_ms=1_767_225_600_123,
    annotation_id="ab" * 16,
    window_id="cd" * 16,
    model_digest="ab" * 32,
    predicted_class="ECL",
    energy=12.5,
    period_days=None,
)

OBJECT = ObjectAnnotation(
    survey="ztf",
    object_id="ZTF18abcdefg",
    ra=1.5,
    dec=-2.5,
    alert_id="595147624915010001",
    alert_time_mjd=58001.5,
    bands=(
        BandOpinion(
            band="r",
            annotation_id="ef" * 16,
            window_id=WINDOW.window_id,
            revision=2,
            alert_time_mjd=58001.5,
            first_epoch_mjd=58000.0,
            last_epoch_mjd=58001.5,
            n_epochs_total=220,
            predicted_class="ECL",
            probabilities={"CEPH": 0.25, "ECL": 0.75},
            energy=12.5,
            energy_percentile=97.5,
            p_value=0.03125,
            novel=True,
            period_days=None,
            fold_days=0.5,
            period_method="search",
            log10_false_alarm=-1.5,
            mean_mag=15.5,
            std_mag=0.5,
            quality_flags=("no_significant_period",),
            model_name="default",
            model_version="1",
            model_digest="ab" * 32,
        ),
    ),
    probabilities={"CEPH": 0.25, "ECL": 0.75},
    predicted_class="ECL",
    p_value=0.03125,
    novel=True,
    period_days=None,
    period_agreement="none",
    colours={"colour_g_r": 0.5},
    catalogue_match=CatalogueMatch("V1", 0.25, False, known_class="EA", gaia_bp_rp=0.75),
    quality_flags=("one_band",),
    revision=3,
    supersedes="cd" * 16,
    withdrawn=False,
    code_version="0.1.0",
)
