"""Outputs and counts of one batch, collected while the step goes through it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broker_plugin.runner.protocols import Observation, Output, StepResult

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Tally:
    """A step's result in the making: one observation for each counter and labels, however often counted."""

    outputs: list[Output] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    """By the counter's name, the names of its labels and their values."""

    def count(self, name: str, value: int = 1, /, **labels: str) -> None:
        """Add to a counter or gauge."""
        key = (name, *labels, *labels.values())  # flat: made and hashed for each epoch
        self.counts[key] = self.counts.get(key, 0) + value

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one value to a histogram."""
        self.observations.append(Observation(name, value, labels))

    def result(self) -> StepResult:
        """Return the step's result."""
        # Labels are put in order here: once for each counter, not once for each count.
        sums: Counter[tuple[str, Labels]] = Counter()
        for (name, *rest), n in self.counts.items():
            labels = zip(rest[: len(rest) // 2], rest[len(rest) // 2 :], strict=True)
            sums[name, tuple(sorted(labels))] += n
        counted = [Observation(name, n, dict(labels)) for (name, labels), n in sums.items() if n]
        return StepResult(self.outputs, [*counted, *self.observations])
