"""Steps are done once, again when something they depend on changed, and go on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.reproduce.code_digest import code_digest
from training.reproduce.steps import Step, run_steps


class Factory:
    """Makes steps that count how often they ran."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.fail = ""

    def step(self, name: str, inputs: int = 0, needs: tuple[str, ...] = ()) -> Step:
        def run(folder: Path, progress: object) -> None:
            self.runs.append(name)
            half = folder / "checkpoint"
            half.write_text(half.read_text() + "+" if half.exists() else "half")
            if self.fail == name:
                raise KeyboardInterrupt
            (folder / "out.txt").write_text(f"{name} {inputs}")

        return Step(name, {"n": inputs}, needs, ("out.txt",), run)


def quiet(line: str) -> None:
    """Swallow progress."""


def test_a_finished_experiment_is_not_done_again(tmp_path: Path) -> None:
    """Second run: nothing runs, the same records."""
    factory = Factory()
    steps = [factory.step("a"), factory.step("b", needs=("a",))]
    first = run_steps(steps, tmp_path, quiet)
    assert run_steps(steps, tmp_path, quiet) == first
    assert factory.runs == ["a", "b"]
    assert first["a"].versions["numpy"]


def test_a_change_reaches_what_depends_on_it(tmp_path: Path) -> None:
    """Other settings of a: a and its dependant run again, the other does not."""
    factory = Factory()
    run_steps([factory.step("a"), factory.step("b", needs=("a",)), factory.step("c")], tmp_path, quiet)
    factory.runs.clear()
    run_steps([factory.step("a", 1), factory.step("b", needs=("a",)), factory.step("c")], tmp_path, quiet)
    assert factory.runs == ["a", "b"]


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_damaged_output_is_made_again(tmp_path: Path, damage: str) -> None:
    """Somebody deleted or edited a file: its digest tells."""
    factory = Factory()
    run_steps([factory.step("a")], tmp_path, quiet)
    output = tmp_path / "a" / "out.txt"
    output.unlink() if damage == "gone" else output.write_text("tampered")
    run_steps([factory.step("a")], tmp_path, quiet)
    assert factory.runs == ["a", "a"]
    assert output.read_text() == "a 0"


def test_an_interrupted_step_finds_its_checkpoint(tmp_path: Path) -> None:
    """Ctrl-C in b: a stays done, b finds what it left; with other inputs it must not."""
    factory = Factory()
    factory.fail = "b"
    with pytest.raises(KeyboardInterrupt):
        run_steps([factory.step("a"), factory.step("b")], tmp_path, quiet)
    factory.fail = ""
    run_steps([factory.step("a"), factory.step("b")], tmp_path, quiet)
    assert factory.runs == ["a", "b", "b"]
    assert (tmp_path / "b" / "checkpoint").read_text() == "half+"
    run_steps([factory.step("a"), factory.step("b", 7)], tmp_path, quiet)
    assert (tmp_path / "b" / "checkpoint").read_text() == "half"


def test_code_digest_follows_imports() -> None:
    """The digest of fitting covers the losses and the search, not the report."""
    assert code_digest("training.fit") != code_digest("training.losses")
    assert code_digest("training.fit") == code_digest("training.fit", "training.losses")
    assert code_digest("training.fit") != code_digest("training.fit", "training.report.figures")
