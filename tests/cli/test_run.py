"""`archc run`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from archc.runtime import open_model, open_session, read_image, top_k


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((3, 1, 32, 32)).astype(np.float32)


def expected(model: Path, x: np.ndarray) -> np.ndarray:
    return open_session(model).run(None, {"image": x})[0]


def save_model(path: Path, inputs: dict[str, tuple[int, list]], nodes: list, outputs: list) -> None:
    """An ONNX model that archc did not write."""
    values = [helper.make_tensor_value_info(n, t, shape) for n, (t, shape) in inputs.items()]
    graph = helper.make_graph(nodes, "g", values, outputs)
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def test_random_input(cli, model) -> None:
    lines = cli("run", model).stdout.splitlines()
    assert lines[0] == "output [1, 10] float32"
    assert lines[1].startswith("  [0] ")
    assert lines[1].count(": ") == 5
    assert cli("run", model).stdout == cli("run", model, "--seed", "0").stdout
    assert cli("run", model).stdout != cli("run", model, "--seed", "1").stdout
    assert cli("run", model, "--at", "N=4").stdout.startswith("output [4, 10] float32\n")


def test_array(cli, model, x) -> None:
    np.save("x.npy", x)
    lines = cli("run", model, "x.npy", "--top", "2").stdout.splitlines()
    assert len(lines) == 1 + len(x)
    for index, row in enumerate(expected(model, x)):
        best, second = np.argsort(-row)[:2]
        entries = f"{best}: {row[best]:.4g}  {second}: {row[second]:.4g}"
        assert lines[1 + index] == f"  [{index}] {entries}"


def test_array_without_batch_axis_is_a_batch_of_one(cli, model, x) -> None:
    np.save("x.npy", x[1])
    cli("run", model, "x.npy", "-o", "y.npz")
    np.testing.assert_array_equal(np.load("y.npz")["output"], expected(model, x[1:2]))


@pytest.mark.parametrize("names", [["image"], []])
def test_archive(cli, model, x, names) -> None:
    np.savez("x.npz", **dict.fromkeys(names, x)) if names else np.savez("x.npz", x)
    result = cli("run", model, "x.npz", "-o", "y.npz")
    assert result.stdout.startswith("wrote y.npz (")
    with np.load("y.npz") as outputs:
        assert outputs.files == ["output"]
        np.testing.assert_array_equal(outputs["output"], expected(model, x))


def test_numbers_of_another_precision_are_converted(cli, model) -> None:
    np.save("x.npy", np.ones((1, 1, 32, 32), dtype=">i2"))
    cli("run", model, "x.npy", "-o", "y.npz")
    ones = np.ones((1, 1, 32, 32), np.float32)
    np.testing.assert_array_equal(np.load("y.npz")["output"], expected(model, ones))


# -- images -----------------------------------------------------------------------------------


def test_gray_image(cli, model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    Image.fromarray(pixels).save("gray.png")
    cli("run", model, "gray.png", "--no-preprocess", "-o", "y.npz")
    x = pixels[None, None].astype(np.float32) / 255
    np.testing.assert_array_equal(np.load("y.npz")["output"], expected(model, x))


def test_color_image_is_scaled_and_made_gray(cli, model) -> None:
    Image.fromarray(np.full((40, 60, 3), (0, 0, 255), np.uint8)).save("blue.png")
    cli("run", model, "blue.png", "--no-preprocess", "-o", "y.npz")
    x = np.full((1, 1, 32, 32), 29 / 255, np.float32)  # ITU-R 601: 0.114 * 255
    np.testing.assert_array_equal(np.load("y.npz")["output"], expected(model, x))


def test_image_is_made_an_input_as_the_spec_says(cli, model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    Image.fromarray(pixels).save("digit.png")
    cli("run", model, "digit.png", "-o", "y.npz")
    resized = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    # LeNet-5's numbers: -0.1 for the background, 1.175 for the ink.
    x = (np.asarray(resized)[None, None] / 255 * 1.275 - 0.1).astype(np.float32)
    found = np.load("y.npz")["output"]
    np.testing.assert_allclose(found, expected(model, x), rtol=0, atol=1e-6)
    cli("run", model, "digit.png", "--no-preprocess", "-o", "y.npz")
    plain = np.asarray(resized)[None, None].astype(np.float32) / 255
    np.testing.assert_array_equal(np.load("y.npz")["output"], expected(model, plain))


@pytest.fixture
def echo(tmp_path) -> Path:
    """A model that returns its color image of any height and a width of 5."""
    path = tmp_path / "echo.onnx"
    shape = ["N", 3, "H", 5]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(path, {"x": (TensorProto.FLOAT, shape)}, [node], [output])
    return path


def test_size_that_is_left_open_is_the_image_s(cli, echo) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("color.png")
    cli("run", echo, "color.png", "-o", "y.npz")
    x = pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255
    np.testing.assert_array_equal(np.load("y.npz")["y"], x)


def test_image_is_turned_upright(cli, echo) -> None:
    pixels = np.zeros((5, 8, 3), np.uint8)
    pixels[0, :, 0] = 255  # a red edge: above in the file, on the right after turning
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save("photo.png", exif=exif)
    cli("run", echo, "photo.png", "-o", "y.npz")
    red = np.load("y.npz")["y"][0, 0]
    assert red.shape == (8, 5)
    assert (red[:, 4] == 1).all()
    assert (red[:, :4] == 0).all()


def test_sixteen_bits_are_scaled_not_cut_off(cli, model) -> None:
    Image.fromarray(np.full((32, 32), 0x8080, np.uint16)).save("deep.png")
    x = read_image("deep.png", open_model(model).inputs[0])
    np.testing.assert_array_equal(x, np.full((1, 1, 32, 32), 128 / 255, np.float32))


# -- what is refused --------------------------------------------------------------------------


def refused(result, code: str) -> str:
    assert result.stdout == ""
    assert result.stderr.startswith(f"error[{code}]: ")
    assert result.stderr.count("error[") == 1
    return result.stderr


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "missing-file"),
        (Path, "not-a-file"),
        (b"", "bad-model"),
        (b"hello", "bad-model"),
        ("truncated", "bad-model"),
    ],
)
def test_what_is_no_model(cli, model, tmp_path, content, code) -> None:
    path = tmp_path / "net.onnx"
    if content is Path:
        path.mkdir()
    elif content == "truncated":
        path.write_bytes(model.read_bytes()[:-1000])
    elif content is not None:
        path.write_bytes(content)
    assert "net.onnx" in refused(cli("run", "net.onnx", code=1), code)


def test_model_whose_second_file_is_gone(cli, lenet5, tmp_path) -> None:
    cli("build", lenet5, "--to", "onnx", "--external-data")
    for path in tmp_path.glob("*.data"):
        path.unlink()
    refused(cli("run", "lenet5.onnx", code=1), "bad-model")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 1, 28, 28), np.float32), "has the shape [2, 1, 28, 28]"),
        (np.zeros((2, 3, 32, 32), np.float32), "has the shape [2, 3, 32, 32]"),
        (np.zeros(7, np.float32), "has the shape [7]"),
        (np.zeros((1, 1, 1, 1, 32, 32), np.float32), "has the shape [1, 1, 1, 1, 32, 32]"),
        (np.zeros((1, 1, 32, 32), np.complex64), "holds complex64"),
        (np.full((1, 1, 32, 32), "a"), "holds <U1"),
    ],
)
def test_array_that_does_not_fit(cli, model, array, reason) -> None:
    np.save("x.npy", array)
    text = refused(cli("run", model, "x.npy", code=1), "run-failed")
    assert f"input `image` takes [N, 1, 32, 32] float32; `x.npy` {reason}" in text


def test_floats_are_not_rounded_to_indices(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.INT64, ["N"])
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(tmp_path / "i.onnx", {"x": (TensorProto.INT64, ["N"])}, [node], [output])
    np.save("x.npy", np.array([1.5]))
    assert "holds float64" in refused(cli("run", "i.onnx", "x.npy", code=1), "run-failed")
    np.save("x.npy", np.array([7], np.int8))
    assert cli("run", "i.onnx", "x.npy").stdout == "y [1] int64\n  [7]\n"


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"imag": 0}, "has no input `imag`\n --> x.npz\n  = help: did you mean `image`?"),
        ({"image": 0, "zzz": 0}, "has no input `zzz`\n --> x.npz\n  = help: its inputs: image"),
        ({}, "there is no array for `image`"),
    ],
)
def test_archive_with_other_names(cli, model, x, arrays, text) -> None:
    np.savez("x.npz", **dict.fromkeys(arrays, x))
    assert text in refused(cli("run", model, "x.npz", code=1), "run-failed")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("x.npy", None, "missing-file"),
        ("x.png", None, "missing-file"),
        ("x.npy", Path, "not-a-file"),
        ("x.npy", b"", "bad-input-file"),
        ("x.npy", b"hello", "bad-input-file"),
        ("x.npz", b"hello", "bad-input-file"),
        ("x.npy", "object", "bad-input-file"),
        ("x.npz", "object", "bad-input-file"),
        ("x.npy", "half", "bad-input-file"),
        ("x.npz", "half", "bad-input-file"),
        ("x.npz", "flipped", "bad-input-file"),
        ("x.npy", "other", "bad-input-file"),
        ("x.npz", "other", "bad-input-file"),
        ("x.png", b"hello", "bad-input-file"),
        ("x.png", "half", "bad-input-file"),
        ("x.txt", b"hello", "bad-input-file"),
    ],
)
def test_input_that_cannot_be_read(cli, model, x, tmp_path, name, content, code) -> None:
    path = tmp_path / name
    save = {".npy": np.save, ".npz": lambda file, array: np.savez(file, image=array)}
    if content is Path:
        path.mkdir()
    elif content == "object":
        save[path.suffix](path, np.array([{}], dtype=object))
    elif content == "other":  # one kind of file under the name of the other
        other = {".npy": ".npz", ".npz": ".npy"}[path.suffix]
        save[other](path.with_suffix(other), x)
        path.with_suffix(other).rename(path)
    elif content in ("half", "flipped"):
        if path.suffix == ".png":
            noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
            Image.fromarray(noise).save(path)
        else:
            save[path.suffix](path, x)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data if content == "flipped" else data[: len(data) // 2])
    elif content is not None:
        path.write_bytes(content)
    refused(cli("run", model, name, code=1), code)


def test_image_for_a_model_that_takes_none(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["N", 8])}, [node], [output])
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("x.png")
    assert "takes [N, 8] float32" in refused(cli("run", "f.onnx", "x.png", code=1), "run-failed")


@pytest.fixture
def adder(tmp_path) -> Path:
    """A model of two inputs that must have one batch size."""
    path = tmp_path / "adder.onnx"
    shape = ["N", 2]
    inputs = {"a": (TensorProto.FLOAT, shape), "b": (TensorProto.FLOAT, shape)}
    output = helper.make_tensor_value_info("file", TensorProto.FLOAT, shape)
    save_model(path, inputs, [helper.make_node("Add", ["a", "b"], ["file"])], [output])
    return path


def test_several_inputs_come_in_the_order_of_the_model(cli, adder) -> None:
    np.save("one.npy", np.array([[1, 2]], np.float32))
    np.save("two.npy", np.array([[10, 30]], np.float32))
    cli("run", adder, "one.npy", "two.npy", "-o", "y.npz")
    with np.load("y.npz") as archive:  # an output may be called `file`
        np.testing.assert_array_equal(archive["file"], [[11, 32]])


def test_several_inputs_that_do_not_go_together(cli, adder) -> None:
    np.save("one.npy", np.zeros((1, 2), np.float32))
    np.save("two.npy", np.zeros((2, 2), np.float32))
    text = refused(cli("run", adder, "one.npy", "two.npy", code=1), "run-failed")
    assert "`N` is 1 in `a`" in text
    text = refused(cli("run", adder, "one.npy", code=1), "run-failed")
    assert "the model takes 2 inputs, not 1" in text
    assert "`a` [N, 2] float32, `b` [N, 2] float32" in text


def test_what_onnxruntime_refuses(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    shape = {"x": (TensorProto.FLOAT, ["N"]), "s": (TensorProto.INT64, [2])}
    save_model(tmp_path / "r.onnx", shape, [node], [output])
    np.savez("x.npz", x=np.zeros(5, np.float32), s=np.array([2, 3]))
    text = refused(cli("run", "r.onnx", "x.npz", code=1), "run-failed")
    assert "onnxruntime cannot run the model" in text
    assert "[ONNXRuntimeError]" not in text


def test_inputs_other_than_numbers(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.STRING, ["N"])
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(tmp_path / "s.onnx", {"x": (TensorProto.STRING, ["N"])}, [node], [output])
    assert "takes tensor(string)" in refused(cli("run", "s.onnx", code=1), "run-failed")


def test_names_from_a_model_are_escaped(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y\x1b[2J", TensorProto.FLOAT, ["N"])
    node = helper.make_node("Identity", ["x"], ["y\x1b[2J"])
    save_model(tmp_path / "e.onnx", {"x": (TensorProto.FLOAT, ["N"])}, [node], [output])
    assert cli("run", "e.onnx").stdout.startswith("y\\x1b[2J [1] float32\n")


# More than addresses can be given to, and more than can be counted.
@pytest.mark.parametrize("shape", [[10**6, 10**9], [10**12, 10**12]])
def test_more_input_than_there_is_memory(cli, tmp_path, shape) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(tmp_path / "h.onnx", {"x": (TensorProto.FLOAT, shape)}, [node], [output])
    text = refused(cli("run", "h.onnx", code=1), "run-failed")
    assert f"input `x` of {shape} does not fit into memory" in text


def test_minus_one_is_an_open_size(cli, tmp_path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [-1, 2])
    node = helper.make_node("Identity", ["x"], ["y"])
    save_model(tmp_path / "m.onnx", {"x": (TensorProto.FLOAT, [-1, 2])}, [node], [output])
    assert cli("run", "m.onnx").stdout.startswith("y [1, 2] float32\n")
    np.save("x.npy", np.zeros((3, 2), np.float32))
    assert cli("run", "m.onnx", "x.npy").stdout.startswith("y [3, 2] float32\n")


def test_unknown_size(cli, model) -> None:
    text = refused(cli("run", model, "--at", "H=3", code=1), "run-failed")
    assert "leaves no size `H` open" in text
    assert "its open sizes: N" in text


@pytest.mark.parametrize("at", ["N", "N=", "N=0", "N=-1", "N=x", "=3", "N=1.5", "N=99999999999"])
def test_sizes_that_are_none(cli, model, at) -> None:
    assert "write NAME=SIZE" in cli("run", model, "--at", at, code=2).stderr


@pytest.mark.parametrize("options", [["-o", "y.npy"], ["--top", "0"], ["--seed", "-1"]])
def test_wrong_usage(cli, model, tmp_path, options) -> None:
    cli("run", model, *options, code=2)
    assert list(tmp_path.iterdir()) == []


def test_sizes_are_not_for_files(cli, model, x) -> None:
    np.save("x.npy", x)
    assert "--at is for random input" in cli("run", model, "x.npy", "--at", "N=2", code=2).stderr


def test_inputs_are_never_written_over(cli, model, x, tmp_path) -> None:
    np.savez("x.npz", image=x)
    before = (tmp_path / "x.npz").read_bytes()
    refused(cli("run", model, "x.npz", "-o", "x.npz", code=1), "overwrites-input")
    assert (tmp_path / "x.npz").read_bytes() == before
    shutil.copy(model, "net.npz")
    refused(cli("run", "net.npz", "-o", "net.npz", code=1), "overwrites-input")
    refused(cli("run", model, "-o", "none/y.npz", code=1), "unwritable-output")


def test_largest_entries_of_every_dtype() -> None:
    assert top_k(np.array([[1, 255, 3]], np.uint8), 2) == [[(1, 255.0), (2, 3.0)]]
    assert top_k(np.array([[False, True]]), 1) == [[(1, 1.0)]]
    assert top_k(np.array([[2, 2, 1]], np.float16), 2) == [[(0, 2.0), (1, 2.0)]]
    ((first, last),) = top_k(np.array([[np.nan, -1.0]]), 2)
    assert first == (1, -1.0)
    assert last[0] == 0


def test_a_model_that_takes_pixels(cli) -> None:
    text = "archc: 1\nname: net\ninputs: {image: [N, 3, 240, 240]}\n"
    text += "preprocess: {resize: 250, crop: 240, mean: 0.5, std: [0.2, 0.3, 0.4]}\n"
    Path("net.yaml").write_text(text + "layers: [{adaptive_avgpool: 1}, flatten]\n")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 260, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("photo.png")
    cli("build", "net.yaml", "--to", "onnx", "-o", "plain.onnx")
    cli("build", "net.yaml", "--to", "onnx", "-o", "whole.onnx", "--with-preprocess", "--verify")
    for name in ("plain", "whole"):
        cli("run", f"{name}.onnx", "photo.png", "-o", f"{name}.npz")
    plain, whole = (np.load(f"{name}.npz")["output"] for name in ("plain", "whole"))
    np.testing.assert_allclose(whole, plain, rtol=0, atol=1e-5)
    assert cli("run", "whole.onnx").stdout.startswith("output [1, 3] float32")
    np.save("pixels.npy", pixels[:200])
    assert "H >= 240" in cli("run", "whole.onnx", "pixels.npy", code=1).stderr
    half = ("--with-preprocess", "--dtype", "float16")
    assert "leave --dtype out" in cli("build", "net.yaml", "--to", "onnx", *half, code=2).stderr
    assert (
        "is for --to onnx"
        in cli("build", "net.yaml", "--to", "torch", "--with-preprocess", code=2).stderr
    )
