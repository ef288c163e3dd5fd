"""Layers of loops and blocks are validated once where all that is written of them is constant."""

from __future__ import annotations

from pathlib import Path

from archc.compile import check_file

NET = """
archc: 1
name: net
import: [part.yaml]
defaults:
  conv: {bias: false}
inputs: {x: [N, 3, 32, 32]}
layers:
  - for i in range(3):
      - {conv: 4, kernel: 3}
      - {conv: 4 + i, kernel: 1}
      - twice
      - wide: 2 * i + 2
"""
PART = """
archc: 1
defaults:
  conv: {kernel: 1, stride: factor, padding: 1}
let: {factor: 1}
blocks:
  twice:
    body: [{conv: 5}, {conv: 5, bias: true}]
  wide:
    params: {out: 1}
    body: [{conv: out, kernel: 3}]
"""


def convolutions(tmp_path: Path) -> list[tuple[object, ...]]:
    """Features, kernel, padding and bias of every convolution."""
    (tmp_path / "part.yaml").write_text(PART, encoding="utf-8")
    (tmp_path / "net.yaml").write_text(NET, encoding="utf-8")
    checked = check_file(str(tmp_path / "net.yaml"))
    assert checked.graph is not None, checked.diagnostics
    wanted = ("out", "kernel", "padding", "bias")
    return [tuple(getattr(node.op, name) for name in wanted) for node in checked.graph.nodes]


def test_calls_mean_the_same_in_every_turn(tmp_path: Path) -> None:
    expected = [
        (out, kernel, padding, bias)
        for i in range(3)
        for out, kernel, padding, bias in (
            (4, 3, 0, False),
            (4 + i, 1, 0, False),
            (5, 1, 1, False),
            (5, 1, 1, True),
            (2 * i + 2, 3, 1, False),
        )
    ]
    assert convolutions(tmp_path) == expected
