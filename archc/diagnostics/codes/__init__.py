"""The catalogue of codes: every kind of finding, explained, with an example that shows it.

Codes are words, grouped by the stage that finds them. They are never renamed or reused.
"""

from __future__ import annotations

from archc.diagnostics.codes.code import Code
from archc.diagnostics.codes.document import DOCUMENT
from archc.diagnostics.codes.expressions import EXPRESSIONS
from archc.diagnostics.codes.files import FILES
from archc.diagnostics.codes.layers import LAYERS
from archc.diagnostics.codes.names import NAMES
from archc.diagnostics.codes.plugins import PLUGINS
from archc.diagnostics.codes.running import RUNNING
from archc.diagnostics.codes.shapes import SHAPES
from archc.diagnostics.codes.targets import TARGETS
from archc.diagnostics.codes.weights import WEIGHTS
from archc.diagnostics.codes.yaml import YAML

__all__ = ["CODES", "STAGES", "Code"]

STAGES: dict[str, tuple[Code, ...]] = {
    "files": FILES,
    "plugins": PLUGINS,
    "yaml": YAML,
    "document": DOCUMENT,
    "layers": LAYERS,
    "names": NAMES,
    "expressions": EXPRESSIONS,
    "shapes": SHAPES,
    "targets": TARGETS,
    "weights": WEIGHTS,
    "running": RUNNING,
}

CODES: dict[str, Code] = {code.name: code for codes in STAGES.values() for code in codes}
