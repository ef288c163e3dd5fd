"""What asks for too much is refused at its place, in CPU time that a person does not notice."""

from __future__ import annotations

import click.testing
import pytest

import archc
from archc.alternatives import SpecAlternatives
from archc.cli import archc as program
from archc.compile import Budgets, check_source
from archc.diagnostics import Source
from archc.spec.files import MAX_FILE_SIZE
from archc.types.dims import DimTooComplexError
from tests.fuzz.harness import run
from tests.fuzz.mutate import Mutant

HEAD = "archc: 1\nname: much\ninputs: {x: [N, 3, 32, 32]}\n"
SECONDS = 20  # CPU time that tells a bound from none, also on a crowded machine.


def first_error(text: str, **choice: object) -> str:
    outcome = run(Mutant(text, "budget", **choice), seconds=SECONDS)  # type: ignore[arg-type]
    assert outcome.problem == ""
    assert outcome.checked is not None
    errors = [d for d in outcome.checked.diagnostics if d.is_error]
    return errors[0].code if errors else "accepted"


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ("{conv: 9000000000000000000}", "too-large"),
        ("{conv: 8, kernel: 1000000000000, padding: 1000000000000}", "too-large"),
        ("{conv: 8, dilation: 9000000000000000000, kernel: 3}", "kernel-too-large"),
        ("{adaptive_avgpool: 9000000000000000000}", "too-large"),
        ("{pad: 9000000000000000000}", "too-large"),
        ("{chunk: 1000000000}", "too-large"),
        ("seq: [{flatten: 2}, {lstm: 8, layers: 1000000000}]", "too-large"),
        ("{conv: 10**20}", "expression-limit"),
        ("{conv: 9**9**9}", "expression-limit"),
        ("{conv: 'sum(range(10**12))'}", "expression-limit"),
    ],
)
def test_one_layer(layer: str, code: str) -> None:
    assert first_error(f"{HEAD}layers: [{layer}]") == code


def test_sizes_too_long_to_be_exact() -> None:
    pools = "{maxpool: [3, 1], stride: [2, 1]}, {maxpool: [5, 1], stride: [3, 1]}"
    text = "archc: 1\nname: much\ninputs: {x: [N, 3, H, W]}\nlayers:\n - for i in range(60):\n"
    assert first_error(f"{text}    - {{concat: [[], {pools}], dim: 2}}\n") == "too-complex"


@pytest.mark.parametrize("count", ["10**12", "2**62", "100001"])
def test_one_loop(count: str) -> None:
    assert first_error(f"{HEAD}layers:\n - for i in range({count}): [relu]\n") == "expression-limit"


def test_loops_in_loops() -> None:
    loops = "for i in range(999): [{for j in range(999): [{for k in range(999): []}]}]"
    assert first_error(f"{HEAD}layers:\n - {loops}\n - relu\n") == "expansion-limit"


@pytest.mark.parametrize("inner", ["relu", "{if false: relu}", "[]"])
def test_blocks_that_double(inner: str) -> None:
    blocks = "".join(f"  b{i}: {{body: [b{i - 1}, b{i - 1}]}}\n" for i in range(1, 30))
    text = f"{HEAD}blocks:\n  b0: {{body: [{inner}]}}\n{blocks}layers: [b29]\n"
    assert first_error(text) == "expansion-limit"


# -- parameters ---------------------------------------------------------------------------------

VAST = """\
archc: 1
name: vast
inputs: {x: [N, 1000000]}
layers:
  small: {linear: 1000000, bias: false}
  fc: {linear: 1000000000}
"""


@pytest.fixture
def vast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "vast.yaml"
    path.write_text(VAST, encoding="utf-8")
    return path


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_too_many_parameters_are_refused_with_the_sum(vast, target: str) -> None:
    result = click.testing.CliRunner().invoke(program, ["build", "vast.yaml", "--to", target])
    assert result.exit_code == 1
    assert "error[too-many-parameters]" in result.output
    assert "1,001,001,000,000,000 parameters, more than the 10,000,000,000 allowed" in result.output
    spelled = "1,000,000,000,000,000 of `fc.weight` + 1,000,000,000,000 of `small.weight`"
    assert spelled in result.output
    assert "vast.yaml:6:7" in result.output
    assert [path.name for path in vast.parent.iterdir()] == ["vast.yaml"]


def test_a_comparison_keeps_to_the_budget(vast) -> None:
    result = click.testing.CliRunner().invoke(program, ["verify", "vast.yaml"])
    assert result.exit_code == 1
    assert "error[too-many-parameters]" in result.output


def test_only_a_flag_raises_the_budget(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "net.yaml"
    spec.write_text(f"{HEAD}layers: [{{conv: 8}}, flatten]\n", encoding="utf-8")
    run_program = click.testing.CliRunner().invoke
    build = ["build", "net.yaml", "--to", "onnx", "--max-parameters"]
    assert run_program(program, [*build, "31"]).exit_code == 1
    result = run_program(program, [*build, "32"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("call", [archc.build, archc.load, archc.verify])
def test_the_api_keeps_to_the_budget(vast, call) -> None:
    with pytest.raises(archc.SpecError, match="too-many-parameters"):
        call(vast)


def test_a_sum_over_layers_that_is_too_long(monkeypatch) -> None:
    def total(graph: object) -> int:
        raise DimTooComplexError("over 1024 parts")

    monkeypatch.setattr("archc.elaborate.checks.sample_macs", total)
    assert first_error(f"{HEAD}layers: [relu]\nexpect: {{macs: 5}}\n") == "too-complex"


# -- layers and sizes of files ------------------------------------------------------------------

DEEP = HEAD + "layers: [{for i in range(40): [relu, {for j in range(40): [relu]}]}]\n"


@pytest.fixture
def deep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.yaml").write_text(DEEP, encoding="utf-8")


@pytest.mark.parametrize(
    "command", [["check"], ["expand"], ["show"], ["build", "--to", "onnx"], ["verify"]]
)
def test_budgets_of_reading_are_raised_by_flags(deep, command: list[str]) -> None:
    run_program = click.testing.CliRunner().invoke
    few = run_program(program, [*command, "deep.yaml", "--max-layers", "100"])
    assert few.exit_code == 1
    assert "error[expansion-limit]" in few.output
    assert "more than 100 layers" in few.output
    assert "--max-layers" in few.output
    small = run_program(program, [*command, "deep.yaml", "--max-file-size", "50"])
    assert small.exit_code == 1
    assert "error[file-too-large]" in small.output
    if command == ["check"]:
        assert run_program(program, [*command, "deep.yaml"]).exit_code == 0


def test_budgets_of_reading_are_arguments(deep) -> None:
    assert archc.check("deep.yaml").ok
    for options, code in (
        ({"max_layers": 100}, "expansion-limit"),
        ({"max_file_size": 50}, "file-too-large"),
    ):
        assert [d.code for d in archc.check("deep.yaml", **options).diagnostics] == [code]
        for call in (archc.build, archc.load, archc.verify):
            with pytest.raises(archc.SpecError, match=code):
                call("deep.yaml", **options)


def test_more_than_the_default_is_allowed_when_asked_for() -> None:
    text = f"{HEAD}layers: [{{for i in range(30000): [relu]}}]\n"
    source = Source("many.yaml", text)
    assert check_source(source).diagnostics[0].code == "expansion-limit"
    assert check_source(source, budgets=Budgets(max_layers=60_000)).ok


@pytest.mark.parametrize(("allowed", "found"), [(60_000, ["many"]), (20_000, [])])
def test_other_variants_have_the_same_budget(allowed: int, found: list[str]) -> None:
    params = "params: {n: 10}\nvariants: {few: {}, many: {n: 30000}}\n"
    source = Source("net.yaml", f"{HEAD}{params}layers: [{{for i in range(n): [relu]}}]\n")
    checked = check_source(source, variant="few", budgets=Budgets(max_layers=allowed))
    assert [name for name, _ in SpecAlternatives(checked, {}).variants()] == found


def test_an_import_has_the_same_budget(tmp_path) -> None:
    blocks = "archc: 1\nblocks: {unit: {body: [relu]}}\n" + "#" * 200
    (tmp_path / "blocks.yaml").write_text(blocks, encoding="utf-8")
    source = Source("main.yaml", f"{HEAD}import: [blocks.yaml]\nlayers: [unit]\n")
    assert check_source(source, tmp_path).ok
    found = check_source(source, tmp_path, budgets=Budgets(max_file_size=220)).diagnostics
    assert [d.code for d in found] == ["bad-import"]


@pytest.mark.parametrize(
    "layers",
    ["  - {for i in range(24000): [relu]}\n", "  - {conv: 3, kernel: 3, padding: 1}\n" * 24_000],
    ids=["unfolded", "written out"],
)
def test_what_the_budgets_allow_takes_no_longer_than_promised(layers: str) -> None:
    text = f"{HEAD}layers:\n{layers}"
    assert len(text) <= MAX_FILE_SIZE
    assert first_error(text) == "accepted"
