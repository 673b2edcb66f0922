"""Run the Dockerfile's build steps in a plain folder, and the plugin from what they make; `make image-check`.

No container engine is needed. What this shows: the steps work, no TensorFlow gets in, how large it is, and
that the plugin runs for a user without rights from files that it cannot write. What it does not: the base
image, and the engine. A bill of materials of what would be served is left in build/sbom.cdx.json.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = ("tensorflow", "keras", "sklearn", "h5py", "onnx", "joblib", "pip", "setuptools", "pytest")
PORT = "19664"


def main() -> int:
    """Build, look, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--no-kafka", action="store_true", help="leave out the run beside a real Kafka")
    parser.add_argument("--sbom", type=Path, default=ROOT / "build" / "sbom.cdx.json")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="image-check-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        served = build(folder)
        look(served)
        write_bill(served, chosen.sbom)
        freeze(folder)
        run_offline(served, folder)
        if not chosen.no_kafka:
            run_beside_kafka(served, folder)
    say("all steps done")
    return 0


def build(folder: Path) -> Path:
    """Do what the first stage of the Dockerfile says, with /opt and /src inside the folder."""
    text = re.sub(r"\\\n", " ", (ROOT / "deploy" / "Dockerfile").read_text())
    stage = re.search(r"^FROM \S+ AS build$(.*?)^FROM ", text, re.MULTILINE | re.DOTALL)
    assert stage is not None, "no stage 'build' in the Dockerfile"
    served, source = folder / "opt" / "broker-plugin", folder / "src"
    source.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    for line in stage.group(1).splitlines():
        verb, _, rest = line.strip().partition(" ")
        rest = rest.replace("/opt/broker-plugin", str(served))
        if verb == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", rest):
                environment[name] = value.replace("$PATH", environment["PATH"])
        elif verb == "COPY":
            *sources, target = rest.split()
            for one in sources:
                copy(ROOT / one, source / target)
        elif verb == "RUN":
            say(rest[:100])
            python = rest.replace("python3", sys.executable, 1) if "-m venv" in rest else rest
            subprocess.run(["sh", "-ec", python], cwd=source, env=environment, check=True)
        elif verb not in ("", "#", "WORKDIR") and not verb.startswith("#"):
            msg = f"a step that is not understood here: {line}"
            raise SystemExit(msg)
    return served


def copy(source: Path, target: Path) -> None:
    """Copy as the engine does, without what .dockerignore leaves out."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(source, target / source.name if target.is_dir() else target)


def look(served: Path) -> None:
    """Print the size; fail if something got in that does not belong there."""
    (packages,) = served.glob("lib/python3*/site-packages")
    found = [name for name in FORBIDDEN if (packages / name).exists()]
    if found:
        msg = f"these do not belong into the serving image: {', '.join(found)}"
        raise SystemExit(msg)
    files = [path for path in served.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files) / 1e6
    say(f"{size:.0f} MB in {len(files)} files, without the base image")


def write_bill(served: Path, sbom: Path) -> None:
    """Write the bill of materials in CycloneDX."""
    sbom.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", str(served / "bin" / "python3")]
    subprocess.run([*command, "--output-reproducible", "-o", str(sbom)], check=True, capture_output=True)
    say(f"bill of materials: {sbom}")


def freeze(folder: Path) -> None:
    """Take away every right to write."""
    for path in (folder / "opt").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def run_offline(served: Path, folder: Path) -> None:
    """Simulate some nights and run the whole path on them, in process."""
    work = folder / "work"
    work.mkdir()
    plugin(
        served,
        work,
        "simulate",
        "nights",
        "--objects",
        "3",
        "--nights",
        "365",
        "--cadence",
        "4",
        "--bands",
        "r",
    )
    plugin(served, work, "replay", "nights", "--to", "out")
    annotations = (work / "out" / "classifications.jsonl").read_text().splitlines()
    if not annotations:
        msg = "the run left no annotations"
        raise SystemExit(msg)
    say(f"offline: {len(annotations)} annotations")


def run_beside_kafka(served: Path, folder: Path) -> None:
    """Run all stages beside a real Kafka until everything is annotated, then end them as an engine would."""
    sys.path.insert(0, str(ROOT))
    from tests.kafka_server import provided_kafka

    work = folder / "work"
    with ExitStack() as closing:
        address = closing.enter_context(provided_kafka())
        settings = {
            "BROKER_PLUGIN_PREFIX": f"image{os.getpid()}",
            "BROKER_PLUGIN_KAFKA__BOOTSTRAP": address,
            "BROKER_PLUGIN_TOPICS__PARTITIONS": "2",
            "BROKER_PLUGIN_METRICS__PORT": PORT,
        }
        plugin(served, work, "topics", "create", **settings)
        worker = subprocess.Popen(
            [*without_rights(), served / "bin" / "broker-plugin", "run"],
            cwd=work,
            env=variables(work) | settings,
        )
        closing.callback(worker.kill)
        plugin(served, work, "replay", "nights", "--topic", f"image{os.getpid()}.alerts", **settings)
        deadline = time.monotonic() + 180
        while (annotations := metric("broker_plugin_annotations_total")) < 1 or metric(
            "broker_plugin_consumer_lag"
        ):
            if worker.poll() is not None or time.monotonic() > deadline:
                msg = f"beside Kafka: {annotations:g} annotations, exit code {worker.poll()}"
                raise SystemExit(msg)
            time.sleep(1)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
        if code != 0:
            msg = f"SIGTERM ended the plugin with exit code {code}, expected 0"
            raise SystemExit(msg)
    say(f"beside a real Kafka: {annotations:g} annotations, ended by SIGTERM with exit code 0")


def metric(name: str) -> float:
    """Return the sum of a metric's series, 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def plugin(served: Path, work: Path, *words: str, **settings: str) -> None:
    """Run one command from the built environment."""
    say(f"broker-plugin {' '.join(words)}")
    environment = variables(work) | settings
    subprocess.run(
        [*without_rights(), served / "bin" / "broker-plugin", *words],
        cwd=work,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def variables(work: Path) -> dict[str, str]:
    """Return the environment of the image's last stage; the only place to write is the work folder."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLCONFIGDIR": str(work / "matplotlib"),
    }


def without_rights() -> list[str]:
    """Return what begins the command of a process that cannot override the files' modes: root could."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        msg = "run this as a user who is not root, or install setpriv (util-linux): root could write anywhere"
        raise SystemExit(msg)
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"image-check: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
