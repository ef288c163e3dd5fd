"""Every kind of path that archc opens, against everything that a path can be.

A path that a person names on the command line may lead anywhere, but has to be a regular file. A
path that stands inside a file may come from a stranger: it has to stay in the project (imports),
or in the folder of the model (external data). Nothing waits for a pipe or reads from a device.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from archc.artifacts import build_graph
from archc.cli import archc as program
from archc.compile import check_file, check_source
from archc.diagnostics import Source
from archc.parity.against import open_against
from archc.quantization.samples import read_samples
from archc.runtime import RunError, open_model, read_feed
from archc.weights import DrawnWeights, load_weights, save_safetensors

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")

SPEC = "archc: 1\nname: net\ninputs: {x: [N, 3, 4, 4]}\nlayers: {flat: flatten, fc: {linear: 2}}\n"
BLOCKS = "archc: 1\nblocks: {unit: {body: [relu]}}\n"
PLUGIN = "from archc.ops.table import OPS as own\nOPS = {'mine': own['relu']}\n"
HANG = 30  # seconds after which a case counts as waiting for ever


@dataclass(frozen=True)
class Place:
    """Where a case happens.

    Attributes:
        root: the project, which is the working folder.
        outside: a folder beside it.
        suffix: how the file has to end.
        write: writes a valid file of the kind.
    """

    root: Path
    outside: Path
    suffix: str
    write: Callable[[Path], object]

    def made(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        self.write(path)
        return path

    def target(self) -> Path:
        return self.made(self.outside / f"target{self.suffix}")

    def here(self, name: str) -> Path:
        return self.root / f"{name}{self.suffix}"


# -- what a path can be -------------------------------------------------------------------------


def plain(place: Place) -> str:
    return str(place.made(place.root / "sub" / f"f{place.suffix}").relative_to(place.root))


def parent(place: Place) -> str:
    return f"../outside/{place.target().name}"


def hidden_parent(place: Place) -> str:
    (place.root / "sub").mkdir()
    return f"sub/../../outside/{place.target().name}"


def absolute(place: Place) -> str:
    return str(place.target())


def symlinked_file(place: Place) -> str:
    place.here("link").symlink_to(place.target())
    return place.here("link").name


def symlinked_folder(place: Place) -> str:
    name = place.target().name
    (place.root / "folder").symlink_to(place.outside)
    return f"folder/{name}"


def hardlink(place: Place) -> str:
    place.here("hard").hardlink_to(place.target())
    return place.here("hard").name


def fifo(place: Place) -> str:
    os.mkfifo(place.here("pipe"))
    return place.here("pipe").name


def device(place: Place) -> str:
    place.here("zero").symlink_to("/dev/zero")
    return place.here("zero").name


def cycle(place: Place) -> str:
    place.here("a").symlink_to(place.here("b"))
    place.here("b").symlink_to(place.here("a"))
    return place.here("a").name


def nul(place: Place) -> str:
    return f"{place.made(place.here('f')).stem}\0{place.suffix}"


def other_case(place: Place) -> str:
    place.made(place.here("name"))
    if place.here("NAME").exists():
        pytest.skip("this file system folds cases")
    return place.here("NAME").name


def very_long(place: Place) -> str:
    return f"{'n' * 5000}{place.suffix}"


def directory(place: Place) -> str:
    place.here("folder").mkdir()
    return place.here("folder").name


def missing(place: Place) -> str:
    return place.here("missing").name


def unreadable(place: Place) -> str:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = place.made(place.here("closed"))
    path.chmod(0)
    return path.name


FILES = (plain, parent, hidden_parent, absolute, symlinked_file, symlinked_folder, hardlink)
OTHERS = (fifo, device, cycle, nul, other_case, very_long, directory, missing, unreadable)
HAZARDS = {hazard.__name__: hazard for hazard in (*FILES, *OTHERS)}
ANYWHERE = {hazard.__name__ for hazard in FILES}
INSIDE = {"plain", "hardlink"}


# -- kinds of paths -----------------------------------------------------------------------------


def graph():
    checked = check_source(Source("net.yaml", SPEC))
    assert checked.graph is not None
    return checked.graph


def write_spec(path: Path) -> None:
    path.write_text(SPEC, encoding="utf-8")


def write_model(path: Path) -> None:
    assert build_graph(graph(), "onnx", path, DrawnWeights()).files


def write_safetensors(path: Path) -> None:
    assert save_safetensors(graph(), DrawnWeights(), path) == []


def write_pth(path: Path) -> None:
    import torch

    torch.save({"fc.weight": torch.ones(2, 48), "fc.bias": torch.ones(2)}, path)


def write_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones((1, 3, 4, 4), np.float32))


def write_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.ones((5, 3, 4, 4), np.float32))


def write_image(path: Path) -> None:
    from PIL import Image

    with path.open("wb") as file:
        Image.new("RGB", (4, 4)).save(file, "PNG")


def write_data(path: Path) -> None:
    path.write_bytes(np.arange(4, dtype=np.float32).tobytes())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, list(arguments), prog_name="archc")


def opened(action: Callable[[], object]) -> bool:
    """Whether something that raises RunError does not."""
    try:
        action()
    except RunError as error:
        assert error.diagnostic.is_error and error.diagnostic.path is not None
        return False
    return True


def assert_refused(result: Result, refused: bool, code: str) -> None:
    assert result.exit_code == int(refused), result.output
    assert (f"error[{code}]" in result.output) == refused


def opens_spec(path: str) -> bool:
    checked = check_file(path)
    assert checked.ok or any(
        d.is_error and (d.primary or d.path is not None) for d in checked.diagnostics
    )
    return checked.ok


def opens_weights(path: str) -> bool:
    found, problems = load_weights(path, graph())
    assert (found is None) == any(problem.is_error and problem.path for problem in problems)
    return found is not None


def opens_model(path: str) -> bool:
    return opened(lambda: open_model(path))


def opens_other(path: str) -> bool:
    found, problems = open_against(path, graph(), None, 0)
    assert bool(problems) == (found is None)
    return found is not None


def opens_input(path: str) -> bool:
    write_model(Path("model.onnx"))
    model = open_model("model.onnx")
    return opened(lambda: read_feed(model, [path]))


def opens_calibration(path: str) -> bool:
    write_model(Path("model.onnx"))
    model = open_model("model.onnx")
    return opened(lambda: read_samples(model, path))


def opens_import(path: str) -> bool:
    # Escaped as YAML wants it: a NUL character comes out of the text, too.
    name = path.replace("\0", "\\0")
    text = SPEC.replace("inputs:", f'import: ["{name}"]\ninputs:')
    Path("net.yaml").write_text(text, encoding="utf-8")
    return opens_spec("net.yaml")


def opens_external(path: str) -> bool:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=path)
    made = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [tensor],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9)
    Path("net.onnx").write_bytes(model.SerializeToString())
    return opens_model("net.onnx")


KINDS: dict[str, tuple[str, Callable[[Path], object], Callable[[str], bool], set[str]]] = {
    "spec": (".yaml", write_spec, opens_spec, ANYWHERE),
    "safetensors": (".safetensors", write_safetensors, opens_weights, ANYWHERE),
    "pth": (".pth", write_pth, opens_weights, ANYWHERE),
    "model": (".onnx", write_model, opens_model, ANYWHERE),
    "against": (".onnx", write_model, opens_other, ANYWHERE),
    "npy": (".npy", write_array, opens_input, ANYWHERE),
    "image": (".png", write_image, opens_input, ANYWHERE),
    "calibration": (".npz", write_archive, opens_calibration, ANYWHERE),
    "import": (".yaml", lambda path: path.write_text(BLOCKS), opens_import, INSIDE),
    "external data": (".bin", write_data, opens_external, INSIDE),
}
"""Kind -> how it ends, what writes one, whether archc opens one, and what it may lead to."""


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError("it waits for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_path_may_be(project: Path, kind: str, hazard: str) -> None:
    suffix, write, opens, allowed = KINDS[kind]
    text = HAZARDS[hazard](Place(project, project.parent / "outside", suffix, write))
    with no_hang():
        assert opens(text) == (hazard in allowed)


@pytest.mark.parametrize("hazard", HAZARDS)
def test_where_an_output_may_lead(project: Path, hazard: str) -> None:
    place = Place(project, project.parent / "outside", ".onnx", lambda path: path.write_text("old"))
    text = HAZARDS[hazard](place)
    write_spec(project / "net.yaml")
    before = {path: path.lstat().st_ino for path in project.rglob("*")}
    with no_hang():
        written = build_graph(graph(), "onnx", Path(text), DrawnWeights())
    refused = not written.files
    assert not refused or written.diagnostics[-1].code == "unwritable-output"
    assert refused == (hazard in {"fifo", "device", "cycle", "nul", "very_long", "directory"})
    if refused:
        assert {path: path.lstat().st_ino for path in project.rglob("*")} == before
        return
    onnx.checker.check_model(project / text)
    for path in before:
        assert path.is_symlink() == (path.name in ("link.onnx", "folder"))
    if hazard == "hardlink":  # the other name keeps what it had
        assert (place.outside / "target.onnx").read_text() == "old"


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_pyproject_of_a_stranger(project: Path, hazard: str) -> None:
    (project / "pyproject.toml").unlink()
    (project / ".git").mkdir()
    settings = "[tool.archc]\nplugins = ['no_such_plugin']\n"
    place = Place(project, project.parent / "outside", ".toml", lambda p: p.write_text(settings))
    text = HAZARDS[hazard](place)
    if "\0" in text or len(text) > 4096:
        pytest.skip("no file has such a name")
    write_spec(project / "net.yaml")
    (project / "pyproject.toml").symlink_to(text)
    with no_hang():
        result = run("check", "net.yaml")
    # What is no file counts as absent; a link is followed, as every other tool follows it.
    assert_refused(result, hazard in ANYWHERE, "bad-plugin")


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_plugin_module(project: Path, hazard: str) -> None:
    place = Place(project, project.parent / "outside", ".py", lambda path: path.write_text(PLUGIN))
    text = HAZARDS[hazard](place)
    if "\0" in text or len(text) > 4096:
        pytest.skip("no file has such a name")
    write_spec(project / "net.yaml")
    name = f"plugin_{hazard}"
    (project / f"{name}.py").symlink_to(text)
    with no_hang():
        result = run("check", "net.yaml", "--plugin", name)
    sys.modules.pop(name, None)
    assert_refused(result, hazard not in ANYWHERE, "bad-plugin")


@pytest.mark.parametrize("hazard", ["fifo", "device", "cycle", "directory"])
def test_images_of_a_folder(project: Path, hazard: str) -> None:
    (project / "images").mkdir()
    place = Place(project / "images", project.parent / "outside", ".png", write_image)
    HAZARDS[hazard](place)
    with no_hang():
        assert not opens_calibration("images")


@pytest.mark.parametrize("text", ["a\0b.yaml", "\ud800.yaml", "", "n" * 300])
def test_a_name_that_no_file_can_have(project: Path, text: str) -> None:
    with no_hang():
        assert not opens_spec(text)
        assert not opens_model(text)
