"""Ask for known vulnerabilities of everything that constraints.txt pins; `make audit`.

Exit codes: 0 none known, or nobody could be asked (said loudly; with --require that is 3); 1 some are known.

pip-audit alone would do, but for one trap: where the package index has no vulnerability data, as mirrors have
not, it skips every package and succeeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ("pypi", "osv")


def main() -> int:
    """Audit with the first service that knows anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--require", action="store_true", help="fail when nobody could be asked")
    parser.add_argument("--file", type=Path, default=ROOT / "constraints.txt", help="pinned requirements")
    parser.add_argument(
        "--ignore-vuln", action="append", default=[], metavar="ID", help="judged harmless here"
    )
    chosen = parser.parse_args()
    ignored = [word for name in chosen.ignore_vuln for word in ("--ignore-vuln", name)]
    for service in SERVICES:
        answer = _ask(service, chosen.file, ignored)
        audited, found = judge(answer)
        if audited:
            _say(f"{audited} of {len(answer)} packages audited by {service}, {len(found)} problems known")
            for line in found:
                _say(f"  {line}")
            return 1 if found else 0
    _say(f"NOT AUDITED: no vulnerability service could be reached ({', '.join(SERVICES)}); nothing is known")
    return 3 if chosen.require else 0


def judge(dependencies: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Return how many packages were looked up at all, and a line for each vulnerability.

    Parameters
    ----------
    dependencies : list of dict
        The list of that name in pip-audit's JSON.
    """
    audited = [package for package in dependencies if "skip_reason" not in package]
    return len(audited), list(_lines(audited))


def _lines(audited: list[dict[str, Any]]) -> Iterator[str]:
    for package in audited:
        for problem in package["vulns"]:
            cure = ", ".join(problem["fix_versions"]) or "no release yet"
            yield f"{package['name']} {package['version']}: {problem['id']}, mended in {cure}"


def _ask(service: str, file: Path, ignored: list[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--format", "json"]
    command += [
        "--requirement",
        str(file),
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        *ignored,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip() or "no answer").splitlines()[-1]
        _say(f"{service}: {reason[:200]}")
        return []
    return found


def _say(line: str) -> None:
    sys.stdout.write(f"audit: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
