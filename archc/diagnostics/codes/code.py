"""What the catalogue says of one code."""

from __future__ import annotations

from textwrap import dedent

from archc.diagnostics.diagnostic import Severity
from archc.records import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        name: kebab-case word, never renamed.
        title: what is wrong, in a few words.
        explanation: Markdown: what it means, why it is a fault, how to mend it.
        bad: a spec that has this fault and no other; empty when no text alone can have it.
        good: the same spec without the fault.
        severity: whether it stops a build.
        needs: what else it takes to see it (a flag, another file); empty when `bad` is enough.
    """

    name: str
    title: str
    explanation: str
    bad: str
    good: str
    severity: Severity
    needs: str

    def as_markdown(self) -> str:
        """The whole entry as a person reads it."""
        parts = [f"# {self.name}", f"{self.title} ({self.severity.value}).", self.explanation]
        if self.needs:
            parts.append(f"Seen with {self.needs}.")
        if self.bad:
            parts.append(f"## At fault\n\n```yaml\n{self.bad}```")
        if self.good:
            parts.append(f"## Mended\n\n```yaml\n{self.good}```")
        return "\n\n".join(parts) + "\n"


def entry(
    name: str,
    title: str,
    explanation: str,
    *,
    bad: str = "",
    good: str = "",
    severity: Severity = Severity.ERROR,
    needs: str = "",
) -> Code:
    """An entry of the catalogue, its texts written indented."""
    return Code(name, title, dedent(explanation).strip(), bad, good, severity, needs)


def spec(body: str, inputs: str = "{x: [N, 3, 32, 32]}") -> str:
    """A whole spec around what an example is about.

    Args:
        body: the part after `inputs:`, written indented.
        inputs: the declared inputs.
    """
    return f"archc: 1\nname: demo\ninputs: {inputs}\n{dedent(body).strip()}\n"
