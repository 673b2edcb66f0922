"""Errors become one clear line and a documented exit code."""

from __future__ import annotations

from typing import Any

import click

from broker_plugin import errors


class PluginGroup(click.Group):
    """A group whose commands may raise :class:`broker_plugin.errors.BrokerPluginError`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn our errors into a line on stderr and their exit code."""
        try:
            return super().invoke(ctx)
        except errors.BrokerPluginError as error:
            click.echo(f"broker-plugin: {error}", err=True)
            ctx.exit(error.exit_code)


def exit_codes() -> str:
    """Return the table of exit codes for the help, made from the errors themselves."""
    codes = {0: "All went well.", 1: "Anything else; a traceback is a bug worth reporting."}
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.BrokerPluginError) and error.exit_code > 1:
            codes[error.exit_code] = (error.__doc__ or "").splitlines()[0].replace("``", "")
    codes[2] = f"{codes[2]} Or wrong usage."
    lines = [f"  {code}  {meaning}" for code, meaning in sorted(codes.items())]
    return "\b\nExit codes:\n" + "\n".join(lines)
