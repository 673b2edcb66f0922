"""The probabilities of the classes as one bar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def mix_svg(probabilities: Sequence[tuple[str, float]]) -> str:
    """Draw a stacked bar; the text for those who do not see it names the classes above 5 %."""
    parts, x = [], 0.0
    for number, (name, share) in enumerate(probabilities):
        width = 100 * share
        if width >= 0.5:
            hint = f"<title>{escape(name)} {share:.0%}</title>"
            parts.append(
                f'<rect class="c{number % 10}" x="{x:.1f}" width="{width:.1f}" height="10">{hint}</rect>'
            )
        x += width
    said = ", ".join(f"{name} {share:.0%}" for name, share in probabilities if share >= 0.05)
    return (
        f'<svg class="mix" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said, quote=True)}">{"".join(parts)}</svg>'
    )
