"""Print the dependencies of a pyproject.toml, so that an image can install them before the source."""

import sys
import tomllib
from pathlib import Path


def main(path: Path) -> None:
    """Print one requirement a line; the optional ones (training, tests) stay out."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    sys.stdout.write("".join(f"{requirement}\n" for requirement in project["dependencies"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
