"""The checker as the tests of diagnostics use it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archc.diagnostics import Diagnostic, Source

Check = Callable[[str, str], list[Diagnostic]]


@pytest.fixture(scope="session")
def check() -> Check:
    """Check a spec's text under a file name; the findings in reading order."""
    from archc.compile import check_text

    return lambda text, name: check_text(Source(name, text)).sorted()
