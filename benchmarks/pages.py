"""Tables that a command writes into a page of the documentation, between marks."""

from __future__ import annotations

import re
from collections.abc import Mapping


def write_into(page: str, kind: str, by_mark: Mapping[str, str]) -> str:
    """Return the page with each table between its marks, ``<!-- KIND: NAME -->`` and ``<!-- end -->``.

    Raises
    ------
    SystemExit
        A mark is missing, or there twice.
    """
    for name, table in by_mark.items():
        mark = re.compile(rf"(<!-- {kind}: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, n = mark.subn(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", page)  # type: ignore[misc]
        if n != 1:
            msg = f"mark '<!-- {kind}: {name} -->' is {n} times on the page, expected once"
            raise SystemExit(msg)
    return page
