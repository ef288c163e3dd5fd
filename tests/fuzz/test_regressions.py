"""Every case that ever failed, replayed: `regressions/NAME.yaml` says on its first line what it is.

`# expect: CODE LINE` is the first error it has to lead to, `# expect: accepted` that there is none;
`# variant: NAME` and `# set: PARAM=VALUE` may follow.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz.harness import confirmed, run
from tests.fuzz.mutate import Mutant

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.yaml"))
_TOLD = re.compile(r"# (expect|variant|set): (.*)\n")


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_regression(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    told = dict(_TOLD.findall(text))
    overrides = tuple(tuple(told["set"].split("=", 1)) for _ in [0] if "set" in told)
    case = Mutant(text, path.stem, told.get("variant"), overrides)
    outcome = confirmed(lambda: run(case, seconds=10, lower=True))
    assert outcome.problem == ""
    assert outcome.checked is not None
    errors = [d for d in outcome.checked.diagnostics if d.is_error]
    found = "accepted" if not errors else f"{errors[0].code} {errors[0].primary.span.line}"
    assert found == told["expect"]
