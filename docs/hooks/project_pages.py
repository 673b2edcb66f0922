"""Pages that are files of the project: the architecture and the changelog, links made right for the site."""

from __future__ import annotations

import re
from pathlib import Path

_PAGES = {"ARCHITECTURE.md": "explanation/architecture.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)]+)\)")


def texts(root: Path) -> dict[str, str]:
    """Return the pages by their place."""
    # A link to a file of the source tree leads nowhere on the site: its text stays.
    return {
        place: _LINK.sub(lambda match: match[1], (root / name).read_text()) for name, place in _PAGES.items()
    }
