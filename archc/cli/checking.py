"""Checking what a command names, wrong usage told apart from errors in the input."""

from __future__ import annotations

from collections.abc import Mapping

import click

from archc import compile as pipeline
from archc.compile import Checked, VariantError


def check_file(spec: str, variant: str | None, overrides: Mapping[str, str]) -> Checked:
    """Check a spec: a file, a name of the zoo, or `-`.

    Raises:
        click.UsageError: a variant is named twice.
    """
    try:
        return pipeline.check_file(spec, variant, overrides)
    except VariantError as error:
        raise click.UsageError(str(error)) from error
