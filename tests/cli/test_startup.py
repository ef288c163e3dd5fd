"""What the program leaves out to start sooner, and that nothing is lost by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LENET = ROOT / "specs" / "lenet5.yaml"
SETTINGS = ("PYDANTIC_DISABLE_PLUGINS", "OPENBLAS_NUM_THREADS")


def printed(code: str, **environment: str) -> str:
    """The last line that a Python prints for which nobody has set what archc sets."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def after(statement: str, **environment: str) -> str:
    """What a statement prints that follows `archc check`."""
    run = f"try: main(['check', {str(LENET)!r}])\nexcept SystemExit: pass\n"
    return printed(f"import os, sys\nfrom archc.cli import main\n{run}{statement}", **environment)


def test_a_check_does_not_look_for_plugins_of_pydantic() -> None:
    assert after("print(sorted({'importlib.metadata', 'email', 'json'} & {*sys.modules}))") == "[]"


def test_more_than_the_plugins_is_asked_of_the_module_itself() -> None:
    one = "from pydantic.plugin._loader import PYDANTIC_ENTRY_POINT_GROUP as group\n"
    assert after(one + "print(group, 'importlib.metadata' in sys.modules)") == "pydantic True"
    one = "from pydantic.plugin import _loader\nprint(_loader.get_plugins(), _loader._plugins)"
    assert after(one) == "() None"


@pytest.mark.parametrize("named", ["", "other"])
def test_whoever_says_which_plugins_gets_the_others(named: str) -> None:
    one = "import pydantic.plugin._loader as found\nprint(found.__file__ is not None)"
    assert after(one, PYDANTIC_DISABLE_PLUGINS=named) == "True"


@pytest.mark.parametrize("given", [None, "3"])
def test_numpy_starts_no_threads_unless_asked(given: str | None) -> None:
    asked = {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    assert after("print(os.environ['OPENBLAS_NUM_THREADS'])", **asked) == (given or "1")


def test_the_library_leaves_its_process_as_it_is() -> None:
    code = (
        "import gc, os\nbefore = gc.get_threshold(), dict(os.environ)\n"
        f"import archc\nassert archc.check({str(LENET)!r}).ok\n"
        "print((gc.get_threshold(), dict(os.environ)) == before)"
    )
    assert printed(code) == "True"
