"""Codes about plugins: modules with further ops, and the settings that enable them."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry

PLUGINS = (
    entry(
        "bad-plugin",
        "A plugin cannot be used",
        """
        A plugin is a Python module with a mapping `OPS` of names to subclasses of
        `archc.plugin.Op`. The message says what is wrong: the module cannot be found or its import
        fails, it has no ops, or one of them has a name that is taken or lacks something that archc
        needs. See docs/plugins.md.
        """,
        needs="a plugin that is enabled",
    ),
    entry(
        "bad-config",
        "The settings of the project cannot be used",
        """
        The section `[tool.archc]` of the pyproject.toml of the project that archc is run in takes
        one key: `plugins`, a list of names of Python modules.
        """,
        needs="a pyproject.toml",
    ),
)
