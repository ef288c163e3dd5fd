"""Tables for people: what they say, how they fold, how they fit.

`golden/NAME.txt` holds whole tables. Set ARCHC_UPDATE_GOLDEN=1 to write them anew, and read the
difference.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from archc.compile import at_sizes, check_file
from archc.diagnostics.terminal import display_width
from archc.graph.receptive import receptive_fields
from archc.targets.report import Report, build_report, layer_text, report_markdown, report_text
from archc.targets.report.cells import bytes_text, count_text, field_text
from archc.targets.report.fold import Repeat, folded
from tests.graph.specs import checked, graph_of, net
from tests.zoo.catalogue import SPECS

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are shown as given, so that goldens name no folder of this machine."""
    monkeypatch.chdir(SPECS.parent)


def report_of(spec: str, variant: str | None = None, **sizes: int) -> Report:
    result = check_file(f"specs/{spec}.yaml", variant)
    if sizes:
        result = at_sizes(result, sizes)
    assert result.graph is not None
    return build_report(result.graph)


def resnet_free() -> Report:
    """ResNet-18 for images of any size."""
    text = (SPECS / "resnet.yaml").read_text(encoding="utf-8").replace("224, 224", "H, W")
    open_ended, _, _ = text.partition("expect:")  # the totals there are for 224 x 224
    return build_report(graph_of(open_ended, "resnet18"))


def layer(spec: str, variant: str | None, path: str) -> str:
    text = layer_text(report_of(spec, variant).graph, path)
    assert text is not None
    return text


def every_kind(path: str) -> str:
    """Weights drawn in every way, a list as attribute, many readers or none, beside the chain."""
    layers = """
      base: {conv: 4, init: {weight: normal(0.5), bias: constant(2)}}
      normed: batchnorm
      cut: {conv: 4, kernel: [1, 1], init: {weight: trunc_normal(0.02)}}
      side: {relu: , from: base, side: true}
      unread: {permute: [0, 1, 3, 2], from: base}
      for i in range(14):
        "r{i}": {relu: , from: base}"""
    found = layer_text(graph_of(net(layers, "{x: [N, 4, 8, 8]}")), path)
    assert found is not None
    return found


TABLES = {
    "lenet5": lambda: report_text(report_of("lenet5"), width=None),
    "lenet5_80": lambda: report_text(report_of("lenet5"), width=80),
    "lenet5_markdown": lambda: report_markdown(report_of("lenet5")),
    "resnet152_120": lambda: report_text(report_of("resnet", "resnet152"), width=120),
    "resnet50_depth_2": lambda: report_text(report_of("resnet", "resnet50"), width=None, depth=2),
    "resnet18_any_size": lambda: report_text(resnet_free(), width=100, depth=1),
    "vgg16_batch_8": lambda: report_text(report_of("vgg", "vgg16", N=8), width=None),
    "layer_conv": lambda: layer("resnet", "resnet50", "layer2.0.conv2"),
    "layer_implied": lambda: layer("resnet", "resnet50", "layer1.0.add"),
    "layer_block": lambda: layer("resnet", "resnet50", "layer4.2"),
    "layer_in_training": lambda: layer("googlenet", None, "aux1.conv.conv"),
    "layer_every_kind": lambda: "".join(
        map(every_kind, ("base", "normed", "cut", "side", "unread"))
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_golden(name: str) -> None:
    text = TABLES[name]()
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ARCHC_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# -- width ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 70, 80, 90, 100, 110, 120, 130, 160])
@pytest.mark.parametrize(("spec", "variant"), [("lenet5", None), ("resnet", "resnet50")])
def test_tables_fit_and_say_what_is_left_out(spec: str, variant: str | None, width: int) -> None:
    report = report_of(spec, variant)
    text = report_text(report, width=width)
    table, _, summary = text.partition("\n\n")
    assert max(map(display_width, table.splitlines())) <= width
    for row in report.rows[:8]:
        assert row.node.path in table
        assert all(line in table for line in row.derivation)
    titles = table.splitlines()[0].split()
    missing = [t for t in ("parameters", "MACs", "memory", "field") if t not in titles]
    assert ("left out for lack of width" in summary) == bool(missing)
    assert all(title in summary for title in missing)


def test_colour_changes_nothing_but_the_colour() -> None:
    report = report_of("lenet5")
    plain, painted = report_text(report), report_text(report, color=True)
    assert "\x1b[" in painted and "\x1b" not in plain
    for code in ("1", "34", "1;34", "0"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == plain


def test_names_cannot_command_a_terminal_or_break_a_table() -> None:
    graph = graph_of(net("[relu, tanh]", "{x: [N, 1, 8]}"))
    evil = replace(graph.nodes[0], path="a\x1b[31m|b\u202e")
    report = build_report(replace(graph, nodes=(evil, graph.nodes[1])))
    for text in (report_text(report), report_markdown(report)):
        assert "\x1b" not in text and "\u202e" not in text
    head, _, row, *_ = report_markdown(report).splitlines()
    assert row.replace("\\|", "").count("|") == head.count("|")


# -- folding --------------------------------------------------------------------------------


def repeats(layers: str, inputs: str = "{x: [N, 4, 16, 16]}") -> list[tuple[int, str, str]]:
    graph = graph_of(net(layers, inputs))
    lines = folded(graph, build_report(graph).rows)
    return [(one.times, one.first, one.last) for one in lines if isinstance(one, Repeat)]


def test_equal_blocks_fold() -> None:
    pair = "[relu, tanh]"
    assert repeats(f"[{pair}, {pair}, {pair}]") == [(3, "0", "2")]
    assert repeats(f"[{pair}, {pair}, {pair}, {pair}]") == [(4, "0", "3")]  # not twice two


def test_blocks_that_take_turns_fold() -> None:
    layers = "[[relu, tanh], [tanh, relu], [relu, tanh], [tanh, relu], sigmoid]"
    assert repeats(layers) == [(2, "0", "3")]


def test_bare_layers_fold_from_three_on() -> None:
    assert repeats("[relu, relu, tanh, tanh, tanh]") == [(3, "2", "4")]


@pytest.mark.parametrize(
    "second",
    [
        "[relu, sigmoid]",  # another op
        "[relu]",  # fewer
        "[{maxpool: 2}, tanh]",  # another shape
        "{first: relu, second: tanh}",  # other names
        "[relu6, tanh]",
    ],
)
def test_what_differs_does_not_fold(second: str) -> None:
    assert repeats(f"[[relu, tanh], {second}]") == []


def test_what_no_column_shows_may_differ() -> None:
    assert repeats("[[{dropout: 0.1}, tanh], [{dropout: 0.2}, tanh]]") == [(2, "0", "1")]


def test_the_arithmetic_behind_equal_shapes_differs() -> None:
    wide = "{conv: 4, kernel: 3, padding: 1, groups: 4}"
    wider = "{conv: 4, kernel: 3, padding: 2, dilation: 2, groups: 4}"
    assert repeats(f"[[{wide}], [{wider}]]") == []
    assert repeats(f"[[{wide}], [{wide}]]") == [(2, "0", "1")]


def test_sizes_named_in_a_pattern_differ() -> None:
    swap = "'{{rearrange: b (g c) h w -> b (c g) h w, g: {}}}'".replace("'", "")
    assert repeats(f"[[{swap.format(2)}], [{swap.format(4)}]]") == []
    assert repeats(f"[[{swap.format(2)}], [{swap.format(2)}]]") == [(2, "0", "1")]


def test_repeats_within_repeats() -> None:
    inner = "[[relu, tanh], [relu, tanh], sigmoid]"
    graph = graph_of(net(f"[{inner}, {inner}]", "{x: [N, 4]}"))
    (outer,) = folded(graph, build_report(graph).rows)
    assert isinstance(outer, Repeat) and isinstance(outer.body[0], Repeat)
    assert (outer.times, outer.body[0].times) == (2, 2)
    assert "x2  0 ... 1" in report_text(build_report(graph))


def test_every_layer_is_shown_when_nothing_is_folded() -> None:
    report = report_of("resnet", "resnet152")
    text = report_text(report, unfold=True)
    shown = {line.split()[0] for line in text.splitlines() if line}
    assert {row.node.path for row in report.rows} <= shown
    assert len(report_text(report).splitlines()) < len(report.rows) / 4


def test_levels_sum_what_they_hold() -> None:
    report = report_of("resnet", "resnet50")
    lines = folded(report.graph, report.rows, depth=1)
    parameters = [getattr(line, "parameters", None) for line in lines]
    rows = [line.cost.parameters for line in lines if hasattr(line, "cost")]
    assert sum(p for p in parameters if p is not None) + sum(rows) == 25_557_032


# -- cells ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (9_994, "9.99k"),
        (10_000, "10.0k"),
        (999_949, "999.9k"),
        (999_999, "1.00M"),
        (9_996, "10.0k"),
        (4_089_184_256, "4.09G"),
        (10**21, "1000000P"),
    ],
)
def test_counts(number: int, text: str) -> None:
    assert count_text(number) == text


def test_bytes() -> None:
    assert [bytes_text(n) for n in (4, 18_816, 102_441_032)] == ["4 B", "18.8 kB", "102.4 MB"]


def test_fields() -> None:
    graph = graph_of(net("[{conv: 4, kernel: [3, 5], stride: [1, 2]}]", "{x: [N, 3, 32, 32]}"))
    assert field_text(receptive_fields(graph)["0"]) == "3x5 /1x2 0"


# -- broken specs ---------------------------------------------------------------------------


def test_of_a_broken_spec_the_rows_up_to_the_failure_are_kept() -> None:
    result = checked(net("[{conv: 4, kernel: 3}, relu, {maxpool: 99}, tanh]", "{x: [N, 3, 8, 8]}"))
    assert result.graph is None and not result.ok
    assert result.partial is not None
    assert [node.path for node in result.partial.nodes] == ["0", "1"]
    text = report_text(build_report(result.partial, complete=False))
    assert "incomplete" in text and "MACs," not in text


@pytest.mark.parametrize(
    "text",
    [
        "archc: 1\nname: net\ninputs: {x: [N, 3, 8, 8]}\nlayers: [{conv: 4, kernal: 3}]\n",
        "archc: 1\nname: net\ninputs: {x: [N, 3, 8, 8]}\nlayers: [relu]\nexpect: {parameters: 9}\n",
        "archc: 1\nname: net\ninputs: {x: [N, 3, 8, 8]}\nlayers: {a: relu}\noutputs: [b]\n",
    ],
)
def test_any_error_leaves_a_partial_graph_and_no_graph(text: str) -> None:
    result = checked(text)
    assert result.graph is None and result.partial is not None


def test_of_what_is_no_spec_nothing_is_kept() -> None:
    assert checked("archc: [").partial is None
