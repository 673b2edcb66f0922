"""The page of the command lines, from the commands themselves: what ``--help`` says, as tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from broker_plugin.cli import main as plugin
from training.cli import main as training

_HEAD = """# Command line

What `--help` says of every verb. Options stand after their verb; those of configuration are keys of a
[file](configuration.md).
"""
_KEPT_AS_IT_IS = "\b"  # click's mark of a paragraph whose lines are not joined


def text() -> str:
    """Return the page as Markdown."""
    programs: tuple[tuple[str, click.Command], ...] = (
        ("broker-plugin", plugin),
        ("python -m training", training),
    )
    return "\n".join([_HEAD, *(part for name, command in programs for part in _command(command, name, None))])


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    depth = 2 if parent is None else 3
    yield f"{'#' * depth} {context.command_path}\n"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield from _paragraphs(command.help or "")
    rows = [record for p in command.get_params(context) if (record := p.get_help_record(context)) is not None]
    if rows:
        yield "| option | meaning |\n|---|---|\n" + "".join(
            f"| `{_cell(n)}` | {_cell(m)} |\n" for n, m in rows
        )
    yield from _paragraphs(command.epilog or "")
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            yield from _command(command.commands[verb], verb, context)


def _paragraphs(help_text: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(help_text).split("\n\n"):
        if paragraph.lstrip().startswith(_KEPT_AS_IT_IS):
            lines = paragraph.replace(_KEPT_AS_IT_IS, "").strip("\n")
            yield f"```text\n{lines}\n```\n"
        elif paragraph:
            # An asterisk or an underscore in a help text is itself, but for what stands in backquotes.
            parts = re.split(r"(`[^`]*`)", paragraph)
            yield "".join(p if p.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", p) for p in parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" in text else text.replace("|", "\\|")
