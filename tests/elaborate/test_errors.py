"""All faults of a text at once, each once, and none that only follows from another."""

from __future__ import annotations

from archc.compile import check_source
from archc.diagnostics import Source


def test_faults_of_all_stages_at_once(faults):
    body = """
        author: me
        params: {width: 8.5, when: 3}
        variants: {v: {widht: 4}}
        defaults: {cnov: {bias: false}}
        blocks:
          unit: {params: {out: int}, bdy: [relu]}
          good: {params: {out: int}, body: [{conv: out, kernal: 3}]}
        layers:
          a: rellu
          b: {conv: 8, stride: 0}
          c: {conv: width}
          d: {unit: 4}
          e: {good: 4}
          f: {linear: 3, from: nowhere}
        outputs: [a, zzz]
        expect: {parameters: 3}
        """
    assert faults(body) == [
        ("unknown-key", "author"),
        ("unknown-param", "widht"),
        ("unknown-op", "cnov"),
        ("unknown-key", "bdy"),
        ("unknown-attribute", "kernal"),
        ("unknown-op", "rellu"),
        ("bad-value", "0"),
        ("not-an-integer", "width"),
        ("unknown-reference", "nowhere"),
        ("unknown-reference", "zzz"),
    ]


def test_a_failed_layer_silences_what_follows_from_it(faults):
    body = """
        layers:
          a: {conv: 8, kernel: 99}
          b: {conv: in_channels * 2, groups: 7}
          c: [{maxpool: 2}, flatten, {linear: in_features}]
          d: {concat: {l: relu, r: []}, expect: [N, 1]}
          e: {add: , from: [a, b, c, d]}
          if in_channels > 3: {f: relu}
          for i in range(in_channels): {"g{i}": relu}
          h{in_features}: {residual: [{conv: 1}], skip: in_channels == 1}
          free: {conv: 8, kernel: 98, from: x}
        outputs: [e, h, free]
        """
    assert faults(body) == [
        ("kernel-too-large", "kernel: 99"),
        ("kernel-too-large", "kernel: 98"),
        ("unknown-reference", "h"),
    ]


def test_what_cannot_be_read_silences_what_follows_from_it(faults):
    body = """
        layers:
          - {conv: 8}
          - ~
          - {conv: 4, groups: 3}
          - {linear: 4, from: prev}
        """
    assert faults(body) == [("wrong-kind", "~")]


def test_one_fault_of_many_instances_is_one(findings):
    body = """
        blocks:
          unit: {params: {out: int}, body: [{conv: out, groups: 5}, {linear: out / 2}, rellu]}
        layers:
          - for i in range(36):
              - {unit: i + 1, from: x}
        """
    found = findings(body)
    assert [(f.code, f.text) for f in found] == [
        ("indivisible", "groups: 5"),
        ("not-an-integer", "out / 2"),
        ("unknown-op", "rellu"),
    ]


def test_a_fault_in_a_loop_is_one(findings):
    found = findings("layers: [for i in range(8): {conv: i / 2, from: x}]")
    assert [(f.code, f.text) for f in found] == [("not-an-integer", "i / 2")]


def test_different_faults_at_one_place_are_two(findings):
    body = "blocks: {unit: {params: {a: int, b: int}, body: [{conv: a + b}]}}\nlayers: [unit]"
    assert [f.message for f in findings(body)] == [
        "block `unit` needs `a`",
        "block `unit` needs `b`",
    ]


def test_calls_label_what_depends_on_them():
    text = """archc: 1
inputs: {x: [N, 3, 8, 8]}
blocks:
  inner: {params: {g: int}, body: [{conv: 8, groups: g}, rellu]}
  outer: {params: {g: int}, body: [{inner: g}]}
layers: [{outer: 2}]
"""
    found = check_source(Source("net.yaml", text)).diagnostics
    labels = {
        d.code: [
            (label.span.source.text[label.span.start : label.span.end], label.text)
            for label in d.secondary
            if label.text == "in this call"
        ]
        for d in found
    }
    assert labels == {
        "indivisible": [("{outer: 2}", "in this call"), ("{inner: g}", "in this call")],
        "unknown-op": [],
    }


def test_warnings_keep_silent_beside_errors(faults):
    assert faults("params: {width: 8}\nlayers: [{conv: wdth}]") == [("unknown-name", "wdth")]
