"""The model card: what the model is, what it was measured to do, where not to use it."""

from __future__ import annotations

from collections.abc import Sequence

from broker_plugin.features.external import EXTERNAL_FEATURES, names_among
from broker_plugin.model.conventions import Conventions
from broker_plugin.model.manifest import Manifest
from training.evaluate import Evaluation
from training.run import RunRecord
from training.text_tables import evaluation_text, markdown_table, number, spread

_TEMPLATE = """# {name} {version}

Recurrent autoencoder with estimation network and Gaussian mixture (Tsang & Schultz 2019, ApJL 877, L14;
Naul et al. 2018; Zong et al. 2018), trained on light curves of {n_epochs} epochs in one band.

## Input and output
A window of {length} epochs of one object in one band, folded with a period. z = {embedding} embedding
dimensions, two reconstruction features, and (standardised) {auxiliary}. Output: probabilities of
{classes}; the sample energy under a frozen mixture{neighbours}; its percentile among
the training energies; a conformal p-value.

Conventions: fold in {fold_unit}, phase zero at {phase_zero}, {lag} lags, standardised z: {standardised},
covariance floor {floor:g}. The manifest has them all.

## Training
Data: `{data_name}`, sha256 `{data_digest:.16}`: labelled ASAS V-band light curves of bright stars
(V = 7 to 14). Windows: {n_train} to train, {n_calibrate} to calibrate p-values, {n_validate} to validate; no
star, nor group of neighbouring stars, is in two of these. Stars of other kinds (NOVEL) were never trained on.
Training periods: {training_periods}.
Periods of mixture, calibration and validation: {calibration_periods}.
Seed {seed}, {epochs} epochs of {sequences} drawn windows, batch {batch}, peak rate {rate:g}, lambda
{energy_weight:g}, reconstruction weights: {weight_mode}. Keras {keras} on {backend}, {minutes:.0f} minutes.
{outliers}{start}All settings and losses: `report.json`.

## Measured
On stars that were neither trained on nor used for the calibration. {seeds}

{evaluation}
{elsewhere}## Limits
{verdict}- Labels are those of the survey's own machine classification (ACVS) for most stars; some are wrong.
  "Eclipsing" holds several subtypes, "SR" and "ROT" are few and of low amplitude.
- The probabilities are for the mix of classes of the training windows (to the power {prior:g}), their
  temperature fitted to held-out stars; another sky has another mix.
- Stars of other kinds are few ({n_novel} windows) and mostly irregular variables: the novelty figures are
  coarse. None was trained on, but settings of the training were chosen while looking at their ROC AUC: on
  other stars expect less.
- The quoted magnitude errors belong to the frame and not to the star; the network does not see them.
- Trained on one survey, one band and one cadence. In other bands, at other cadences or noise, probabilities
  and energies shift, and the p-value no longer means what it says. Re-calibrate before relying on it.
- A wrong period folds a star into noise, and a window without a significant period is folded all the same:
  look at the period's significance before trusting class or novelty.
"""


def model_card(
    manifest: Manifest,
    record: RunRecord,
    evaluations: Sequence[Evaluation],
    elsewhere: Sequence[Evaluation] = (),
) -> str:
    """Fill the card's template from the manifest, the run and the evaluations.

    Parameters
    ----------
    manifest : Manifest
    record : RunRecord
    evaluations : sequence of Evaluation
        Of this model first; of the same recipe with other seeds behind it.
    elsewhere : sequence of Evaluation
        Of this model on other surveys.
    """
    evaluation = evaluations[0]
    conventions, settings = manifest.conventions, record.settings
    calibration = (manifest.provenance.period_source, manifest.provenance.search_digest)
    return _TEMPLATE.format(
        name=manifest.name,
        version=manifest.version,
        n_epochs=conventions.network.sequence_length,
        length=conventions.network.sequence_length,
        embedding=conventions.network.embedding_size,
        auxiliary=_auxiliary_words(conventions),
        classes=", ".join(manifest.classes),
        neighbours=_neighbour_words(manifest),
        fold_unit=conventions.input.fold_unit,
        phase_zero=conventions.input.phase_zero.replace("_", " "),
        lag=conventions.input.lag,
        standardised="yes" if conventions.mixture.standardise_z else "no",
        floor=conventions.mixture.covariance_floor,
        data_name=record.data_name,
        data_digest=record.data_digest,
        n_train=record.split_windows["train"],
        n_calibrate=record.split_windows["calibrate"],
        n_validate=record.split_windows["validate"],
        n_novel=record.split_windows["novel"],
        training_periods=_period_words(record.period_source, record.search_digest),
        calibration_periods=_period_words(*calibration),
        start=_start_words(record),
        verdict=_verdict(evaluation),
        prior=settings.prior_exponent,
        outliers=_outlier_words(record),
        minutes=sum(epoch["seconds"] for epoch in record.history) / 60.0,
        seed=settings.seed,
        epochs=len(record.history),
        sequences=settings.sequences_per_epoch,
        batch=settings.batch_size,
        rate=settings.peak_rate,
        energy_weight=settings.energy_weight,
        weight_mode=settings.weight_mode,
        keras=record.versions["keras"],
        backend=record.versions["keras_backend"],
        evaluation=evaluation_text(evaluation),
        seeds=_seed_words(evaluations),
        elsewhere=_elsewhere(elsewhere),
    )


def _neighbour_words(manifest: Manifest) -> str:
    if not manifest.neighbour_weight:
        return ""
    return (
        f", plus {manifest.neighbour_weight:g} times\nthe logarithm of the distance of the fifth nearest "
        "training star in z (in units of each dimension's scatter)"
    )


def _seed_words(evaluations: Sequence[Evaluation]) -> str:
    if len(evaluations) == 1:
        return "One seed, one split: no spread is known."
    classes = [one.classification for one in evaluations if one.classification is not None]
    figures: dict[str, Sequence[float | None]] = {
        "accuracy": [one.accuracy for one in classes],
        "balanced accuracy": [one.balanced_accuracy for one in classes],
        "accuracy by star": [one.star_accuracy for one in evaluations],
        "novelty ROC AUC": [one.novelty.roc_auc for one in evaluations if one.novelty is not None],
        "known windows above the 95 % cut": [
            one.novelty.at_95.false_alarm_rate for one in evaluations if one.novelty is not None
        ],
    }
    words = ", ".join(f"{name} {spread(values)}" for name, values in figures.items())
    return (
        f"The tables are of this model. Over {len(evaluations)} seeds (split, weights and\nsampling change "
        f"together; mean ± standard deviation): {words}."
    )


def _elsewhere(evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return ""
    rows = [
        (
            one.data_name,
            str(one.classification.n_windows if one.classification else 0),
            number(one.classification.accuracy if one.classification else None),
            number(one.novelty.at_95.false_alarm_rate if one.novelty else None),
            str(one.novelty.n_novel if one.novelty else 0),
            number(one.novelty.at_95.recall if one.novelty else None),
            number(one.novelty.roc_auc if one.novelty else None),
        )
        for one in evaluations
    ]
    header = ("data", "known", "accuracy", "known above 95 % cut", "novel", "novel above", "ROC AUC")
    return "\n".join(
        ["On other surveys, as they are, without calibration:", "", *markdown_table(header, rows), ""]
    )


def _auxiliary_words(conventions: Conventions) -> str:
    names = conventions.input.auxiliary
    words = " and ".join(names[: conventions.auxiliary_in_z])
    photometric = names_among(names)
    if conventions.network.auxiliary_hidden:
        n = sum(name not in EXTERNAL_FEATURES for name in names)
        words += f". {n} features of the light curve\nenter the embedding beside the encoder"
    if photometric:
        words += f"; so do {', '.join(photometric)} of a catalogue or the\nstream, and whether each is known"
    return words


def _period_words(source: str, search_digest: str) -> str:
    if search_digest:
        return f"found by the stream's own search on each window (source digest {search_digest})"
    return f"column `{source}` of the data"


def _outlier_words(record: RunRecord) -> str:
    if not record.settings.uses_outliers:
        return ""
    return (
        f"The energy was trained against {record.settings.outliers:g} simulated outliers for each training "
        f"window (red noise, fadings, lensing,\nshapes with foreign periods) with weight "
        f"{record.settings.outlier_weight:g}.\n"
    )


def _start_words(record: RunRecord) -> str:
    if not record.initial_network_digest:
        return ""
    return (
        f"The last {record.settings.epochs} epochs, with the settings given, started from the network of an "
        f"earlier run\n(sha256 `{record.initial_network_digest:.16}`) on the same training stars.\n"
    )


def _verdict(evaluation: Evaluation) -> str:
    """Say so where the energy is no better a detector than one of its own ingredients."""
    novelty = evaluation.novelty
    if novelty is None or novelty.roc_auc > novelty.roc_auc_reconstruction_error:
        return ""
    return (
        "- The energy does not find stars of other kinds better than the reconstruction error alone: the\n"
        "  mixture loses information. Read a novelty together with its reconstruction.\n"
    )
