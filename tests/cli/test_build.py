"""`archc build`."""

from __future__ import annotations

import errno
import os
import re
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from archc.cli.build import command
from archc.graph.precision import PRECISIONS
from archc.output import OutputFile
from archc.runtime import open_session
from archc.targets.onnx import DEFAULT_OPSET
from archc.targets.onnx.opsets import default_opset
from archc.types import DType

SPECS = Path(__file__).parents[2] / "specs"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_onnx_is_written_under_the_model_name(cli, small, tmp_path) -> None:
    result = cli("build", "small.yaml", "--to", "onnx")
    wrote, done = result.stdout.splitlines()
    assert re.fullmatch(r"wrote small\.onnx \([0-9.]+ kB\)", wrote)
    assert done == "  1 batch norm folded into the layers before them"
    assert files(tmp_path) == ["small.onnx", "small.yaml"]
    onnx.checker.check_model(onnx.load("small.onnx"), full_check=True)


def test_variant_names_the_file_and_params_shape_it(cli, tmp_path) -> None:
    spec = SPECS / "resnet.yaml"
    cli("build", spec, "--to=onnx", "--variant=resnet18", "--set", "num_classes=3", "--seed=1")
    graph = onnx.load("resnet18.onnx").graph
    (output,) = graph.output
    assert output.type.tensor_type.shape.dim[1].dim_value == 3


def test_torch_source_runs_with_its_weights(cli, small, tmp_path) -> None:
    result = cli("build", "small.yaml", "--to", "torch", "-o", "net.py")
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["net.py", "net.safetensors"]
    module = runpy.run_path("net.py")["Small"]()
    weights = load_file("net.safetensors")
    module.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    assert module(torch.zeros(2, 3, 8, 8)).shape == (2, 4)


def test_a_partial_load_says_what_it_draws(cli, small) -> None:
    cli("build", "small.yaml", "--to", "torch", "--set", "classes=7")
    loaded = ("--weights", "small.safetensors", "--allow-missing", "fc.*")
    result = cli("build", "small.yaml", "--to", "torch", "-o", "net.py", "--seed", "3", *loaded)
    assert result.stderr.startswith("note[weights-drawn]: 2 weights that `small.safetensors` does")
    cli("build", "small.yaml", "--to", "torch", "-o", "fresh.py", "--seed", "3")
    mixed, old, fresh = map(
        load_file, ("net.safetensors", "small.safetensors", "fresh.safetensors")
    )
    for key, array in mixed.items():
        np.testing.assert_array_equal(array, (fresh if key.startswith("fc.") else old)[key])


VARIANTS = """\
archc: 1
name: net
params: {depth: 1, ways: 3}
variants: {one: {}, two: {depth: 2}}
inputs: {x: [N, 3]}
layers:
  first: {linear: 8}
  for i in range(depth):
    body{i}: {linear: 8}
  last: {linear: ways}
"""


def test_a_checkpoint_of_another_variant_says_how_to_build_it(cli, tmp_path) -> None:
    (tmp_path / "net.yaml").write_text(VARIANTS, encoding="utf-8")
    cli("build", "net.yaml", "--to", "torch", "--variant", "two", "--set", "ways=9")
    for chosen in ("one", None):
        options = [] if chosen is None else ["--variant", chosen]
        result = cli(
            "build", "net.yaml", "--to", "onnx", "--weights", "two.safetensors", *options, code=1
        )
        assert "help: this looks like two: --variant two --set ways=9" in result.stderr
        assert "weights-mismatch" not in result.stderr


def test_trained_weights_are_not_overwritten(cli, small, tmp_path) -> None:
    cli("build", "small.yaml", "--to", "torch")
    first = (tmp_path / "small.safetensors").read_bytes()
    cli("build", "small.yaml", "--to", "torch", "--seed", "1")  # archc's own may be replaced
    assert (tmp_path / "small.safetensors").read_bytes() != first
    trained = {key: np.asarray(array + 1) for key, array in load_file("small.safetensors").items()}
    with safe_open("small.safetensors", "numpy") as file:
        kept = file.metadata()  # a training loop may pass on what it found
    for metadata in (None, kept):
        save_file(trained, "small.safetensors", metadata)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        result = cli("build", "small.yaml", "--to", "torch", code=1)
        assert result.stderr.startswith("error[overwrites-weights]: `small.safetensors` holds")
        assert "--force" in result.stderr
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    cli("build", "small.yaml", "--to", "torch", "--force")
    assert (tmp_path / "small.safetensors").read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"x" * 9, b"\xff" * 8, bytes(8)])
def test_a_file_of_another_kind_is_not_overwritten_either(cli, small, tmp_path, content) -> None:
    (tmp_path / "small.safetensors").write_bytes(content)
    result = cli("build", "small.yaml", "--to", "torch", code=1)
    assert result.stderr.startswith("error[overwrites-weights]")
    assert (tmp_path / "small.safetensors").read_bytes() == content
    assert files(tmp_path) == ["small.safetensors", "small.yaml"]


def test_exceptions_need_a_file_of_weights(cli, small) -> None:
    for option in ("--allow-missing", "--ignore-unexpected"):
        result = cli("build", "small.yaml", "--to", "onnx", option, "fc.*", code=2)
        assert "are for --weights" in result.stderr


def test_a_name_that_python_cannot_import_is_changed_for_source(cli, tmp_path) -> None:
    spec = "archc: 1\nname: my-net.v2\ninputs: {x: [N, 3]}\nlayers: [{linear: 2}]\n"
    (tmp_path / "n.yaml").write_text(spec, encoding="utf-8")
    cli("build", "n.yaml", "--to", "torch")
    cli("build", "n.yaml", "--to", "onnx")
    expected = ["my-net.v2.onnx", "my_net_v2.py", "my_net_v2.safetensors", "n.yaml"]
    assert files(tmp_path) == expected


def test_standard_input(cli, small, tmp_path) -> None:
    cli("build", "-", "--to", "onnx", "-o", "out.onnx", input=small.read_bytes())
    assert (tmp_path / "out.onnx").exists()


def test_both_targets_hold_the_same_numbers(cli, small) -> None:
    cli("build", "small.yaml", "--to", "onnx", "--seed", "7", "--no-optimize")
    cli("build", "small.yaml", "--to", "torch", "--seed", "7")
    weights = load_file("small.safetensors")
    tensors = onnx.load("small.onnx").graph.initializer
    initializers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}
    shared = weights.keys() & initializers.keys()
    assert shared == weights.keys() - {"bn.num_batches_tracked"}
    for key in shared:
        np.testing.assert_array_equal(weights[key], initializers[key])


def test_weights_from_files_are_taken(cli, small, tmp_path) -> None:
    cli("build", "small.yaml", "--to", "torch", "--seed", "3")
    Path("small.safetensors").replace("trained.safetensors")
    cli("build", "small.yaml", "--to=onnx", "--weights=trained.safetensors", "-o", "a.onnx")
    state = {key: torch.from_numpy(a) for key, a in load_file("trained.safetensors").items()}
    torch.save(state, "trained.pth")
    cli("build", "small.yaml", "--to=onnx", "--weights", "trained.pth", "-o", "b.onnx")
    cli("build", "small.yaml", "--to=onnx", "--seed", "3", "-o", "c.onnx")
    x = {"image": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)}
    a, b, c = (open_session(f"{name}.onnx").run(None, x)[0] for name in "abc")
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c)


def test_weights_that_do_not_fit_are_refused(cli, small, tmp_path) -> None:
    cli("build", "small.yaml", "--to", "torch")
    options = ["--to", "onnx", "--weights", "small.safetensors"]
    result = cli("build", "small.yaml", *options, "--set", "classes=5", code=1)
    assert "error[weights-mismatch]" in result.stderr
    assert "small.yaml:10:" in result.stderr
    save_file({"conv.weight": np.zeros((6, 3, 3, 3), np.float32)}, tmp_path / "part.safetensors")
    options[-1] = "part.safetensors"
    assert "error[weights-missing]" in cli("build", "small.yaml", *options, code=1).stderr
    assert not (tmp_path / "small.onnx").exists()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.pth", None, "missing-file"),
        ("text.pth", b"hello", "bad-weights-file"),
        ("text.safetensors", b"hello", "bad-weights-file"),
        ("weights.zip", b"hello", "bad-weights-file"),
    ],
)
def test_weights_that_cannot_be_read(cli, small, tmp_path, name, content, code) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = cli("build", "small.yaml", "--to", "onnx", "--weights", name, code=1)
    assert f"error[{code}]" in result.stderr
    assert not (tmp_path / "small.onnx").exists()


def test_external_data_stand_beside(cli, small, tmp_path) -> None:
    result = cli("build", SPECS / "lenet5.yaml", "--to=onnx", "--external-data", "-o", "net.onnx")
    names = [line.split()[1] for line in result.stdout.splitlines()]
    assert len(names) == 2
    assert names[0] == "net.onnx"
    assert sorted([*names, "small.yaml"]) == files(tmp_path)
    open_session("net.onnx")


# -- what is refused --------------------------------------------------------------------------


def test_target_must_be_said(cli, small) -> None:
    result = cli("build", "small.yaml", code=2)
    assert "archc build small.yaml --to onnx (or --to torch)" in result.stderr


@pytest.mark.parametrize("option", [["--opset", "20"], ["--external-data"]])
def test_options_of_onnx_are_refused_for_torch(cli, small, option) -> None:
    result = cli("build", "small.yaml", "--to", "torch", *option, code=2)
    assert f"{option[0]} is for --to onnx" in result.stderr


def test_default_opset_is_that_of_the_target() -> None:
    (option,) = (param for param in command.params if param.name == "opset")
    written = {dtype: default_opset(dtype) for dtype in PRECISIONS}
    assert set(written.values()) == {DEFAULT_OPSET, written[DType.BFLOAT16]}
    assert option.show_default == f"{DEFAULT_OPSET}; {written[DType.BFLOAT16]} for bfloat16"


@pytest.mark.parametrize("opset", ["1", "999"])
def test_unknown_opset(cli, small, tmp_path, opset) -> None:
    result = cli("build", "small.yaml", "--to", "onnx", "--opset", opset, code=1)
    assert "error[unsupported-opset]" in result.stderr
    assert files(tmp_path) == ["small.yaml"]


@pytest.mark.parametrize(
    ("target", "output", "reason"),
    [
        ("onnx", "missing/net.onnx", "the folder `missing` does not exist"),
        ("onnx", "small.yaml/net.onnx", "`small.yaml` is a file, not a folder"),
        ("onnx", "folder", "it is a folder"),
        ("onnx", "net.py", "no name for an ONNX file"),
        ("torch", "net.onnx", "no name for a Python module"),
        ("torch", "net.safetensors", "no name for a Python module"),
        ("onnx", "x" * 300 + ".onnx", "file name too long"),
    ],
)
def test_output_that_cannot_be_written(cli, small, tmp_path, target, output, reason) -> None:
    (tmp_path / "folder").mkdir()
    result = cli("build", "small.yaml", "--to", target, "-o", output, code=1)
    assert "error[unwritable-output]" in result.stderr
    assert reason in result.stderr
    assert files(tmp_path) == ["folder", "small.yaml"]


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_spec_is_never_written_over(cli, small, tmp_path, target) -> None:
    before = small.read_bytes()
    suffix = {"onnx": ".onnx", "torch": ".py"}[target]
    link = tmp_path / f"link{suffix}"
    link.symlink_to(small)
    for output in ("small.yaml", f"link{suffix}"):
        result = cli("build", "small.yaml", "--to", target, "-o", output, code=1)
        assert "error[overwrites-input]" in result.stderr
    assert small.read_bytes() == before
    assert link.is_symlink()
    assert files(tmp_path) == [link.name, "small.yaml"]


def test_nor_is_what_it_imports(cli, tmp_path) -> None:
    blocks = "archc: 1\nblocks:\n  twice: {body: [{linear: 4}, {linear: 4}]}\n"
    # A file of blocks may have any name, even one that looks like an output.
    (tmp_path / "blocks.onnx").write_text(blocks, encoding="utf-8")
    spec = "archc: 1\nimport: {blocks.onnx: [twice]}\ninputs: {x: [N, 4]}\nlayers: [twice]\n"
    (tmp_path / "net.yaml").write_text(spec, encoding="utf-8")
    cli("check", "net.yaml")
    result = cli("build", "net.yaml", "--to", "onnx", "-o", "blocks.onnx", code=1)
    assert "error[overwrites-input]" in result.stderr
    assert (tmp_path / "blocks.onnx").read_text(encoding="utf-8") == blocks


def test_nor_are_the_weights_that_are_read(cli, small, tmp_path) -> None:
    cli("build", "small.yaml", "--to", "torch")
    before = (tmp_path / "small.safetensors").read_bytes()
    options = ["--weights", "small.safetensors"]
    result = cli("build", "small.yaml", "--to", "torch", *options, code=1)
    assert "error[overwrites-input]" in result.stderr
    assert (tmp_path / "small.safetensors").read_bytes() == before


def test_own_output_is_replaced_without_asking(cli, small, tmp_path) -> None:
    cli("build", "small.yaml", "--to", "onnx", "--seed", "1")
    before = (tmp_path / "small.onnx").read_bytes()
    cli("build", "small.yaml", "--to", "onnx", "--seed", "2")
    assert (tmp_path / "small.onnx").read_bytes() != before
    cli("build", "small.yaml", "--to", "onnx", "--seed", "1")
    assert (tmp_path / "small.onnx").read_bytes() == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_folder_that_cannot_be_written_to(cli, small, tmp_path, monkeypatch, number) -> None:
    real = os.open

    def refuse(path: object, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    result = cli("build", "small.yaml", "--to", "onnx", "-o", "net.onnx", code=1)
    assert f"cannot write `net.onnx`: {os.strerror(number).lower()}" in result.stderr
    assert files(tmp_path) == ["small.yaml"]


@pytest.mark.parametrize("target", ["onnx", "torch"])
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "no space left on device"),
        (KeyboardInterrupt(), 130, "archc: interrupted"),
        (MemoryError(), 1, "archc: out of memory"),
        (ZeroDivisionError("oops"), 70, "internal error: ZeroDivisionError: oops"),
    ],
)
def test_failure_half_way_leaves_what_was_there(
    cli, small, tmp_path, monkeypatch, target, error, code, text
) -> None:
    cli("build", "small.yaml", "--to", target)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(self: OutputFile, view: memoryview) -> None:
        raise error

    monkeypatch.setattr(OutputFile, "_put", fail)
    result = cli("build", "small.yaml", "--to", target, "--seed", "9", code=code)
    assert text in result.stderr
    assert "Traceback" not in result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
