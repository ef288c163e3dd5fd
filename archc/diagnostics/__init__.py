"""Located messages: where in which file, what is wrong, why, and what would be right."""

from archc.diagnostics.diagnostic import Diagnostic, Diagnostics, Label, Severity, SpecError
from archc.diagnostics.source import Source, Span

__all__ = ["Diagnostic", "Diagnostics", "Label", "Severity", "Source", "Span", "SpecError"]
