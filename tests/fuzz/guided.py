"""The fuzz guided by coverage: `python -m tests.fuzz.guided /tmp/guided -max_total_time=600`.

Mutants that reach a new branch of the reader, of the types or of the elaboration are kept, and
mutated further. It needs `atheris` (https://pypi.org/project/atheris), which is no dependency of
the tests: install it into a virtual environment of its own. The folder keeps the corpus, and in
`broken/` every case that breaks a promise, with what is wrong on its first line; what follows the
folder is for libFuzzer.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path
from random import Random

try:
    import atheris
except ModuleNotFoundError:
    raise SystemExit("the guided fuzz needs atheris: pip install atheris") from None

INSTRUMENTED = ("archc.spec", "archc.types", "archc.elaborate")
SLOWER = 4
"""How much slower code is that counts its branches, at most."""

with atheris.instrument_imports(include=list(INSTRUMENTED)):
    from tests.fuzz.bases import Base, bases, places, plugged
    from tests.fuzz.harness import SECONDS, limit_memory, run
    from tests.fuzz.mutate import GLOBAL, LOCAL, TEXTUAL, Mutant, Mutator
    from tests.fuzz.plugin_ops import OPS as PLUGIN_OPS

    bases()  # what is imported later has no counters


def decoded(data: bytes) -> str:
    """The text of an input, with whatever bytes libFuzzer has made."""
    return data.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """Its bytes, those that are no UTF-8 as they were; and lone surrogates as if they were fine."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """An input, changed as the blind fuzz changes specs, or as libFuzzer changes bytes."""
    rng = Random(seed)
    if rng.random() < 0.2:
        return bytes(atheris.Mutate(data, max_size))
    text = decoded(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        base = places("case.yaml", text, plugged())
        mutators = TEXTUAL if base is None else (*LOCAL, *GLOBAL)
        if base is None:
            base = Base("case.yaml", text, keys=bases()[0].keys)
        text = _edited(rng, base, mutators)
    return encoded(text)[:max_size]


def _edited(rng: Random, base: Base, mutators: tuple[Mutator, ...]) -> str:
    """The text after one change; as it was where there is nothing to change."""
    if base.text.count("\n") < 2:
        return rng.choice(bases()).text
    # IndexError: a mutation finds nothing of its kind to choose from.
    with contextlib.suppress(IndexError):
        edit = rng.choice(mutators)(rng, base)
        if edit is not None:
            return base.text[: edit.start] + edit.new + base.text[edit.end :]
    return base.text


class Watch:
    """Holds every input to the promises.

    Args:
        folder: where broken ones are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Check one input."""
        text = decoded(data)
        case = Mutant(text, "guided", plugged=any(name in text for name in PLUGIN_OPS))
        number = data[-1] if data else 0
        outcome = run(case, seconds=SLOWER * SECONDS, lower=number % 4 == 0, again=number % 10 == 0)
        if outcome.problem and outcome.problem not in self._known:
            self._known.add(outcome.problem)
            name = hashlib.sha256(data).hexdigest()[:16]
            said = outcome.problem.encode("ascii", "backslashreplace").decode().replace("\n", " ")
            (self._folder / f"{name}.yaml").write_bytes(f"# {said}\n".encode() + data)
            print(f"broken promise: {name}: {said}", flush=True)


def main() -> None:
    """Fuzz until libFuzzer is told to end."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    for part in ("corpus", "broken"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for base in bases():
        (folder / "corpus" / base.name).write_text(base.text, encoding="utf-8")
    options = [f"-artifact_prefix={folder}/", "-timeout=3600", "-max_len=16384", *sys.argv[2:]]
    arguments = [sys.argv[0], str(folder / "corpus"), *options]
    atheris.Setup(arguments, Watch(folder / "broken"), custom_mutator=mutated)
    limit_memory()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
