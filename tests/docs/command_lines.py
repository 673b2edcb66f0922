"""Commands on a page, parsed by the command line itself and not run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from broker_plugin.cli import main as plugin
from training.cli import main as training

_PROGRAMS = {"broker-plugin": plugin, "python -m training": training}
# A verb or an option must follow: "broker-plugin" is the name of an image and of a user, too.
_COMMAND = re.compile(r"(?<![\w./-])(broker-plugin|python -m training)\s+((?:[a-z-]+(?=\s|$)|-).*)")
_END = re.compile(r"\s[|;&<>]|\s\d?>|\)|\s#")


def command_lines(script: str) -> Iterator[str]:
    """Yield each call of our programs in a shell script, without what follows it in a pipe."""
    for line in script.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("#"):
            continue
        match = _COMMAND.search(line)
        if match is not None:
            yield f"{match[1]} {_END.split(match[2])[0]}".strip()


def check_command_line(line: str) -> None:
    """Raise click.UsageError for a verb or an option that there is not."""
    name = next(name for name in _PROGRAMS if line.startswith(name))
    command: click.Command = _PROGRAMS[name]
    words = shlex.split(line.removeprefix(name))
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        if found is None:
            raise click.UsageError(f"{line!r}: {words[0]!r} is no command of {command.name}")
        command, words = found, words[1:]
    try:
        command.make_parser(click.Context(command)).parse_args(words)
    except click.UsageError as error:
        raise click.UsageError(f"{line!r}: {error.message}") from None
