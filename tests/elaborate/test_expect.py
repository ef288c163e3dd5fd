"""What a spec asserts of itself."""

from __future__ import annotations

import pytest

from archc.compile import check_source
from archc.diagnostics import Source

BODY = """
    params: {width: 8}
    variants: {small: {width: 4}, large: {width: 16}}
    layers:
      a: {conv: width, kernel: 3, expect: [N, width, 30, 30]}
      b: [{maxpool: 2}, {flatten: 1, expect: [any, 225 * width]}]
      c: {seq: {d: {linear: 2}}, expect: [N, 2]}
    expect:
      shapes: {a: [N, any, 30, 30], b.0: [N, width, 15, 15], c: [N, 2], c.d: [N, 2]}
      parameters: {small: 1914, large: 7650, demo: 3826}
      macs: {demo: 198000}
    """


@pytest.mark.parametrize("variant", [None, "small", "large"])
def test_what_is_expected(compiled, variant):
    # conv: width * 27 + width, linear: 225 * width * 2 + 2; MACs: width * 27 * 900 + 450 * width
    compiled(BODY, variant=variant)


def test_nothing_is_expected_of_other_params(compiled):
    fixed = BODY.replace("[N, width, 30, 30]", "[N, 8, 30, 30]")
    assert compiled(fixed, overrides={"width": "5"}).attribute("a", "out") == 5


def test_macs_are_those_of_one_sample(compiled, findings):
    body = "layers: [{linear: 4}]\nexpect: {macs: 12}"
    compiled(body, "{x: [N, 3]}")
    compiled(body, "{x: [5, 3]}")
    (found,) = findings(body.replace("12", "60"), "{x: [5, 3]}")
    assert found.message == "`demo` has 12 multiply-accumulates per sample, not 60"
    compiled(body.replace("12", "12 * T"), "{x: [N, T, 3]}")
    (found,) = findings(body, "{x: [N, T, 3]}")
    assert found.message == "`demo` has 12*T multiply-accumulates per sample, not 12"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[N, width, 30, 30]", "[N, width, 31, 30]", ("expect-failed", "[N, width, 31, 30]")),
        ("[N, width, 30, 30]", "[width, 30, 30]", ("expect-failed", "[width, 30, 30]")),
        ("[N, width, 30, 30]", "30", ("wrong-kind", "30")),
        ("[N, width, 30, 30]", "[N, wdth, 30, 30]", ("unknown-name", "wdth")),
        ("expect: [N, 2]", "expect: [N, 3]", ("expect-failed", "[N, 3]")),
        ("c.d: [N, 2]", "c.d: [any, 3]", ("expect-failed", "[any, 3]")),
        ("c.d: [N, 2]", "c.e: [N, 2]", ("unknown-reference", "c.e")),
        ("demo: 3826", "demo: 3827", ("expect-failed", "3827")),
        ("demo: 3826", "demo: 3826.0", ("wrong-type", "3826.0")),
        ("small: 1914", "smal: 1914", ("unknown-variant", "smal")),
        ("{demo: 198000}", "198001", ("expect-failed", "198001")),
        ("macs:", "flops:", ("unknown-key", "flops")),
        ("shapes: {", "shapes: 3 #", ("wrong-kind", "3")),
    ],
)
def test_what_is_not_met(faults, old, new, fault):
    assert faults(BODY.replace(old, new)) == [fault]


def test_totals_of_other_variants_are_not_compared(compiled, faults):
    wrong = BODY.replace("large: 7650", "large: 1")
    compiled(wrong)
    assert faults(wrong, variant="large") == [("expect-failed", "1")]


def test_a_wrong_expectation_says_what_is(findings):
    (found,) = findings("layers: [{relu: , expect: [3, 32, 32]}]")
    assert found.message == "the shape is [N, 3, 32, 32], not [3, 32, 32]"
    assert found.help == ("write the batch axis, too: [N, 3, 32, 32]",)
    (found,) = findings("layers: [relu]\nexpect: {parameters: 5}")
    assert found.message == "`demo` has 0 parameters, not 5"


def test_an_expectation_that_holds_for_some_sizes_says_for_which() -> None:
    text = (
        "archc: 1\nname: t\ninputs: {x: [N, 1, H, 8]}\nlayers:\n"
        "  a: {maxpool: 2}\n  b: {resize: , scale: 2, expect: [N, 1, H, 8]}\n"
    )
    errors = [d for d in check_source(Source("t.yaml", text)).diagnostics if d.is_error]
    assert [(d.code, d.message) for d in errors] == [
        (
            "expect-failed",
            "the shape is [N, 1, 2*(H//2), 8], which is [N, 1, H, 8] only where 2*(H//2) = H",
        )
    ]
