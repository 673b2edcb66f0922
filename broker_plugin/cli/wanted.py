"""``--filter``: the name of a filter of the configuration, or clauses in one line."""

from __future__ import annotations

from collections.abc import Sequence

from broker_plugin.config import Config
from broker_plugin.errors import ConfigurationError
from broker_plugin.filters import (
    Filter,
    Outcome,
    Seen,
    build_filter,
    outcome_of,
    parse_filter,
    seen_after,
    unknown_classes,
)
from broker_plugin.records.annotation import Annotation


def chosen_filters(config: Config, texts: Sequence[str]) -> tuple[Filter, ...]:
    """Return the filters that a command line names or spells out.

    Raises
    ------
    ConfigurationError
        Names everything that is wrong with all of them.
    """
    from broker_plugin.config.delivery_checks import model_classes

    found: list[Filter] = []
    problems: list[str] = []
    for text in texts:
        if text in config.filters:
            found.append(build_filter(text, config.filters[text]))
            continue
        try:
            spec = parse_filter(text)
        except ConfigurationError as error:
            known = ", ".join(config.filters)
            hint = f"\n  (or a filter of the configuration: {known})" if known else ""
            problems.append(f"{error}{hint if text.isidentifier() else ''}")
            continue
        classes = model_classes(config) if spec.classes else None
        wrong = [] if classes is None else unknown_classes(spec, classes)
        problems += [f"filter {text!r}: {problem}" for problem in wrong]
        found.append(build_filter(text, spec))
    if problems:
        raise ConfigurationError("\n".join(problems))
    return tuple(found)


class Chooser:
    """Says which annotations to show: those that any of some filters lets through, and what revises them.

    What was shown is remembered as long as this object lives.

    Parameters
    ----------
    filters : sequence of Filter
        None lets everything through.
    follow_up : bool
        Whether to show what does not pass any more, once.
    """

    def __init__(self, filters: Sequence[Filter], *, follow_up: bool = True) -> None:
        self._filters = tuple(filters)
        self._follow_up = follow_up
        self._seen: dict[tuple[str, ...], Seen] = {}

    def judge(self, annotation: Annotation, *, whole_object: bool = False) -> Outcome:
        """Return what to do with an annotation, and remember it if it is shown.

        Parameters
        ----------
        annotation : Annotation
        whole_object : bool
            It is about all bands of an object, of which there may be others each time.
        """
        place = (annotation.survey, annotation.object_id) + (() if whole_object else (annotation.band,))
        seen = self._seen.get(place)
        outcome = outcome_of(
            self._filters, annotation, () if seen is None else (seen,), follow_up=self._follow_up
        )
        after = seen_after(annotation, outcome) if self._filters else None
        if after is not None:
            self._seen[place] = after
        return outcome
