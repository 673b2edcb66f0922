"""What is trained, phase by phase, and what each epoch sees."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from broker_plugin.model.conventions import CLASSES, Conventions
from broker_plugin.model.mixture import Mixture
from training.components import GaussianComponents
from training.head_start import HeadModel, build_heads, encoder_states, one_hot_of
from training.joint import JointModel, Phase
from training.network import Regularisation, build_network
from training.sampling import WindowPool, draw_epoch, joined, training_arrays
from training.settings import TrainingSettings
from training.windows import NOVEL_LABEL

_LAST_RATE = 0.01  # of the peak


class Drawing:
    """What each epoch sees: the same for the same settings, whether the run was interrupted or not.

    Parameters
    ----------
    pools : list of WindowPool
        Windows of known classes; if wanted the same disturbed; if wanted outliers.
    conventions : Conventions
    settings : TrainingSettings
    """

    def __init__(self, pools: list[WindowPool], conventions: Conventions, settings: TrainingSettings) -> None:
        self._label = pools[0].label
        self._n_known = len(pools[0])
        self._pool = joined(pools)
        self._outliers = np.flatnonzero(self._pool.label == NOVEL_LABEL)
        self._variants = (len(self._pool) - len(self._outliers)) // self._n_known
        self._conventions = conventions
        self._settings = settings

    def drawn_shares(self) -> npt.NDArray[np.float64]:
        """Return the shares of the classes among the drawn known windows, shape (K,)."""
        counts = np.bincount(self._label, minlength=len(CLASSES)).astype(np.float64)
        drawn = np.where(counts > 0, counts**self._settings.balance, 0.0)
        return np.asarray(drawn / drawn.sum(), dtype=np.float64)

    def of_epoch(self, epoch: int) -> tuple[dict[str, Any], npt.NDArray[np.float32]]:
        """Return the arrays and one-hot labels, rows of zeros for outliers, in the order of the batches."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, epoch])
        index = self._positions(rng, settings.sequences_per_epoch)
        arrays = training_arrays(
            self._pool,
            index,
            self._conventions.input,
            weight_mode=settings.weight_mode,
            phase_offset=rng.normal(0.0, settings.phase_jitter, size=len(index)),
        )
        return arrays, self.labels(index)

    def whole(self) -> dict[str, Any]:
        """Return the arrays of the whole pool, in its order."""
        return training_arrays(
            self._pool, np.arange(len(self._pool)), self._conventions.input, weight_mode="constant"
        )

    def draw(self, epoch: int, size: int) -> npt.NDArray[np.intp]:
        """Return positions in the pool: ``size`` known windows in the drawn shares, and their outliers."""
        settings = self._settings
        return self._positions(np.random.default_rng([settings.seed, epoch, size]), size)

    def labels(self, index: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return one-hot labels of positions in the pool."""
        return one_hot_of(self._pool.label[index], len(CLASSES))

    def _positions(self, rng: np.random.Generator, size: int) -> npt.NDArray[np.intp]:
        known = draw_epoch(self._label, size, self._settings.balance, rng)
        index = known + self._n_known * rng.integers(self._variants, size=len(known))
        if len(self._outliers):
            extra = rng.choice(self._outliers, round(self._settings.outlier_share * len(known)))
            index = rng.permutation(np.concatenate([index, extra]))
        return np.asarray(index, dtype=np.intp)


class AveragingAdam(keras.optimizers.Adam):  # type: ignore[misc]  # keras ships no types
    """Adam whose running mean of the weights stays beside them until it is asked for.

    ``Model.fit`` puts the mean in place of the weights when it returns, and it is called once an epoch here:
    training would go on from the mean, and lose half of what each epoch taught.

    Variables that a loss does not reach stay as they are. JAX gives them gradients of zero, with which the
    momenta of an earlier phase would go on moving them; TensorFlow and PyTorch give none.
    """

    _at_rest: frozenset[int] = frozenset()

    def leave_alone(self, variables: list[Any]) -> None:
        """Move all variables but these from now on."""
        self._at_rest = frozenset(id(variable) for variable in variables)

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        """Move the variables that are not left alone."""
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        moved = [position for position, one in enumerate(variables) if id(one) not in self._at_rest]
        super().apply([grads[position] for position in moved], [variables[position] for position in moved])

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Leave the weights as they are."""

    def put_average_in_place(self, var_list: list[Any]) -> None:
        """Replace the weights by their running mean."""
        super().finalize_variable_values(var_list)


class Trainee:
    """The network and what trains it, phase by phase."""

    def __init__(
        self, conventions: Conventions, settings: TrainingSettings, label: npt.NDArray[np.int64]
    ) -> None:
        self._conventions = conventions
        self._settings = settings
        self._n_windows = len(label)
        counts = np.bincount(label, minlength=len(CLASSES)).astype(np.float64)
        self._share = counts / counts.sum()
        self._drawn = self._share
        self._rates = Regularisation(
            gru_dropout=settings.gru_dropout,
            estimation_dropout=settings.estimation_dropout,
            state_dropout=settings.state_dropout,
            auxiliary_dropout=settings.auxiliary_dropout,
            auxiliary_noise=settings.auxiliary_noise,
        )
        self.network = build_network(
            conventions,
            seed=settings.seed,
            regularisation=self._rates,
        )
        self._components = (
            GaussianComponents(conventions, seed=settings.seed)
            if conventions.mixture.estimator == "learned"
            else None
        )
        self._optimizer = self._build_optimizer()
        self._models: dict[Phase, JointModel] = {}

    def draws_from(self, drawing: Drawing) -> None:
        """Tell which shares the classes have among the windows that :meth:`train` will see."""
        self._drawn = drawing.drawn_shares()

    @property
    def variables(self) -> list[Any]:
        """Return everything that a checkpoint holds."""
        components = [] if self._components is None else self._components.variables
        return [*self.network.variables, *components, *self._optimizer.variables]

    def train(self, epoch: int, arrays: dict[str, Any], one_hot: npt.NDArray[np.float32]) -> dict[str, float]:
        """Run one epoch and return its mean losses."""
        model = self._model(self._phase(epoch))
        self._optimizer.leave_alone(model.left_alone)
        fitted = model.fit(arrays, one_hot, batch_size=self._settings.batch_size, shuffle=False, verbose=0)
        return {name: float(values[-1]) for name, values in fitted.history.items()}

    def head_start(self, drawing: Drawing) -> dict[str, float]:
        """Train what stands on the encoder with the encoder as it is; returns the last mean losses."""
        settings = self._settings
        hidden, given = encoder_states(self.network, drawing.whole())
        auxiliary = drawing.whole()["auxiliary"]
        heads = build_heads(self.network, self._conventions, self._rates, settings.seed)
        model = HeadModel(
            heads,
            self._components,
            self._conventions,
            settings,
            drawn=self._drawn,
            share=self._share,
        )
        size = max(settings.batch_size, self._n_windows)
        steps = settings.head_epochs * -(-size // settings.batch_size)
        optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(settings.peak_rate, max(1, steps), alpha=_LAST_RATE),
            global_clipnorm=settings.gradient_norm,
        )
        components = [] if self._components is None else self._components.trainable_variables
        optimizer.build([*heads.trainable_variables, *components])
        model.compile(optimizer=optimizer)
        losses: dict[str, float] = {}
        for epoch in range(settings.head_epochs):
            index = drawing.draw(epoch, size)
            fitted = model.fit(
                {"hidden": hidden[index], "auxiliary": auxiliary[index], "given": given[index]},
                drawing.labels(index),
                batch_size=settings.batch_size,
                shuffle=False,
                verbose=0,
            )
            losses = {name: float(values[-1]) for name, values in fitted.history.items()}
        return losses

    def start_components(self, mixture: Mixture) -> None:
        """Let the components start where those of an earlier run ended."""
        if self._components is not None:
            self._components.start_from(mixture)

    def finished(self) -> Mixture | None:
        """Put the averaged weights in place and return the learned mixture, if it is learned."""
        if self._settings.average_momentum:
            self._optimizer.put_average_in_place(self._trainable)
        if self._components is None:
            return None
        return self._components.to_mixture(self._share, self._conventions)

    @property
    def _trainable(self) -> list[Any]:
        components = [] if self._components is None else self._components.trainable_variables
        return [*self.network.trainable_variables, *components]

    def _phase(self, epoch: int) -> Phase:
        if self._settings.mode == "joint":
            return "joint"
        return "autoencoder" if epoch < self._settings.epochs // 2 else "estimation"

    def _model(self, phase: Phase) -> JointModel:
        if phase not in self._models:
            model = JointModel(
                self.network,
                self._components,
                self._conventions,
                self._settings,
                drawn=self._drawn,
                share=self._share,
                phase=phase,
            )
            model.compile(optimizer=self._optimizer)
            self._models[phase] = model
        return self._models[phase]

    def _build_optimizer(self) -> Any:
        settings = self._settings
        drawn = settings.sequences_per_epoch
        if settings.uses_outliers:
            drawn += round(settings.outlier_share * drawn)
        steps = settings.epochs * -(-drawn // settings.batch_size)
        warmup = max(1, int(steps * settings.warmup_fraction))
        schedule = keras.optimizers.schedules.CosineDecay(
            settings.peak_rate * _LAST_RATE,
            max(1, steps - warmup),
            alpha=_LAST_RATE,
            warmup_target=settings.peak_rate,
            warmup_steps=warmup,
        )
        optimizer = AveragingAdam(
            schedule,
            global_clipnorm=settings.gradient_norm,
            use_ema=settings.average_momentum > 0,
            ema_momentum=settings.average_momentum or 0.99,
        )
        # Built now, not at the first step, so that a checkpoint finds every variable in its place.
        optimizer.build(self._trainable)
        return optimizer
