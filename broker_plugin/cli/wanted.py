"""``--filter``: the name of a filter of the configuration, or clauses in one line."""

from __future__ import annotations

from collections.abc import Sequence

from broker_plugin.config import Config
from broker_plugin.errors import ConfigurationError
from broker_plugin.filters import (
    Filter,
    Seen,
    Verdict,
    build_filter,
    is_news,
    parse_filter,
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
    """Says which annotations to show: those that any of some filters lets through.

    What ``new_or_changed`` remembers lasts as long as this object.

    Parameters
    ----------
    filters : sequence of Filter
        None lets everything through.
    """

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = tuple(filters)
        self._seen: dict[tuple[int, str, str, str], Seen] = {}

    def wants(self, annotation: Annotation) -> bool:
        """Return whether to show it, and remember it if so."""
        # Every filter is asked, so that each remembers what it has let through.
        passed = [self._passes(number, wanted, annotation) for number, wanted in enumerate(self._filters)]
        return any(passed) or not self._filters

    def _passes(self, number: int, wanted: Filter, annotation: Annotation) -> bool:
        if wanted.verdict(annotation) is not Verdict.PASSES:
            return False
        if not wanted.new_or_changed:
            return True
        key = (number, annotation.survey, annotation.object_id, annotation.band)
        news = is_news(annotation, self._seen.get(key))
        if news:
            self._seen[key] = Seen.of(annotation)
        return news
