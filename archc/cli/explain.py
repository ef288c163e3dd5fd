"""`archc explain`."""

from __future__ import annotations

import difflib

import click

from archc.diagnostics.codes import CODES


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain a diagnostic CODE, with an example that shows it; without one, list all codes."""
    if code is None:
        width = max(map(len, CODES))
        for name in sorted(CODES):
            click.echo(f"{name:{width}}  {CODES[name].title}")
        return
    if code not in CODES:
        close = difflib.get_close_matches(code, CODES, 1)
        hint = f"; did you mean `{close[0]}`?" if close else "; `archc explain` lists them"
        raise click.UsageError(f"there is no code `{code}`{hint}")
    click.echo(CODES[code].as_markdown().rstrip("\n"))
