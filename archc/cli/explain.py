"""`archc explain`."""

from __future__ import annotations

import difflib

import click

from archc.diagnostics.codes import CODES


def _complete_code(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return sorted(code for code in CODES if code.startswith(incomplete))


@click.command("explain")
@click.argument("code", required=False, shell_complete=_complete_code)
def command(code: str | None) -> None:
    """Explain a diagnostic CODE, with an example that shows it; without one, list all codes."""
    if code is None:
        width = max(map(len, CODES))
        for name in sorted(CODES):
            click.echo(f"{name:{width}}  {CODES[name].title}")
        return
    if code not in CODES:
        close = difflib.get_close_matches(code, CODES, 1)
        hint = f"did you mean `{close[0]}`?" if close else "`archc explain` lists them"
        raise click.UsageError(f"there is no code {code!r}; {hint}")
    click.echo(CODES[code].as_markdown().rstrip("\n"))
