"""The checker as the tests of diagnostics use it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archc.compile import check_source
from archc.diagnostics import Diagnostic, Source

Check = Callable[[str, str], list[Diagnostic]]


@pytest.fixture(scope="session")
def check() -> Check:
    """Check a spec's text under a file name; the findings in reading order."""
    return lambda text, name: list(check_source(Source(name, text)).diagnostics)
