"""The list of the zoo, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from archc.graph import Value
from archc.targets.report.cells import count_text
from archc.types import Dim, format_dim, symbols_of
from archc.zoo.rows import Network, Paper

FORMAT = 1
"""Version of the JSON; it grows when a key changes its meaning or goes."""

COLUMNS = ("name", "parameters", "MACs", "input", "paper")
_NUMERIC = (1, 2)
_WIDEST = 32  # characters: longer formulas would push the other columns off the screen
_UNKNOWN = "?"
_LARGE = re.compile(r"\d{4,}")


def list_text(networks: Sequence[Network]) -> str:
    """A table in plain text; the papers of a family stand beside its first network."""
    rows = [COLUMNS]
    for _, family in groupby(networks, key=lambda network: network.family):
        for index, network in enumerate(family):
            rows.append((*_cells(network), "" if index else papers_text(network.papers)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in _NUMERIC else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def list_markdown(networks: Iterable[Network]) -> str:
    """A table in Markdown, papers as links."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---:|---:|---|---|"]
    for network in networks:
        name, *cells = _cells(network)
        links = ", ".join(f"[{paper.kind} {paper.id}]({paper.url})" for paper in network.papers)
        lines.append(f"| {' | '.join([f'`{name}`', *cells, links])} |")
    return "\n".join(lines) + "\n"


def list_json(networks: Iterable[Network]) -> str:
    """Exact numbers; work that depends on a size is the text of its expression."""
    rows = [
        {
            "name": network.name,
            "family": network.family,
            "parameters": network.parameters,
            "macs": _exact(network.macs),
            "inputs": [_input(value) for value in network.inputs],
            "doc": network.doc,
            "papers": [paper.url for paper in network.papers],
        }
        for network in networks
    ]
    return json.dumps({"format": FORMAT, "networks": rows}, indent=2, ensure_ascii=False) + "\n"


def list_csv(networks: Iterable[Network]) -> str:
    """A row per network; several inputs or papers are separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "family", "parameters", "macs", "input", "paper"])
    for network in networks:
        inputs = "; ".join(_input_text(value, network.inputs) for value in network.inputs)
        links = " ".join(paper.url for paper in network.papers)
        row = [network.parameters, _exact(network.macs), inputs, links]
        writer.writerow([network.name, network.family, *row])
    return text.getvalue()


def papers_text(papers: Iterable[Paper]) -> str:
    """Papers by their numbers: `arXiv 1512.03385, 1611.05431; doi 10.1145/3065386`."""
    groups = groupby(papers, key=lambda paper: paper.kind)
    return "; ".join(f"{kind} {', '.join(paper.id for paper in group)}" for kind, group in groups)


def _cells(network: Network) -> tuple[str, str, str, str]:
    parameters = _UNKNOWN if network.parameters is None else count_text(network.parameters)
    return network.name, parameters, _macs_text(network.macs), _inputs_text(network.inputs)


def _macs_text(macs: Dim | None) -> str:
    """Work as `4.09G`; where it depends on a size, `85.5M*T + 18.4k*T**2`, if that is short."""
    if macs is None:
        return _UNKNOWN
    text = _LARGE.sub(lambda number: count_text(int(number[0])), format_dim(macs))
    return text if len(text) <= _WIDEST else f"by {', '.join(sorted(symbols_of(macs)))}"


def _inputs_text(inputs: Sequence[Value]) -> str:
    """The first input, and how many there are beside it."""
    if not inputs:
        return _UNKNOWN
    more = f" (1 of {len(inputs)})" if len(inputs) > 1 else ""
    return f"{inputs[0].type}{more}"


def _input_text(value: Value, among: Sequence[Value]) -> str:
    """The type of an input, with its name where there are several."""
    return f"{value.name} {value.type}" if len(among) > 1 else str(value.type)


def _input(value: Value) -> dict[str, object]:
    shape = [_exact(dim) for dim in value.type.shape]
    return {"name": value.name, "shape": shape, "dtype": value.type.dtype.value}


def _exact(dim: Dim | None) -> int | str | None:
    return dim if dim is None or isinstance(dim, int) else format_dim(dim)
