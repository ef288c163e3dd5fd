"""Plugins: ops from Python modules that a person enables, used as archc's own; faults in them."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import archc
from archc import plugin as public
from archc.extensions import configured
from archc.ops.table import OPS
from tests.cli.test_program import completed, start
from tests.fuzz.plugin_ops import SquaredRelu

PLUGIN = f"""\
from archc.plugin import Activation, OnnxEmitter, Operand, TorchCode, TorchEmitter


{inspect.getsource(SquaredRelu)}

OPS = {{"squared_relu": SquaredRelu}}
"""

SPEC = """\
archc: 1
name: net
params: {act: squared_relu}
inputs: {x: [N, 8]}
layers:
  fc1: {linear: 16}
  act: act
  fc2: {linear: 4}
"""


MODULES = ("squares", "other", "faulty", "mine", "mine.ops")


@pytest.fixture(autouse=True)
def _fresh_modules(monkeypatch) -> Iterator[None]:
    """What a test imports is forgotten: modules of the next one have the same names."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "squares.py").write_text(PLUGIN, encoding="utf-8")
    path = tmp_path / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


# -- the ops of a plugin are like archc's own -------------------------------------------------


def test_without_the_plugin_the_op_is_unknown(cli, net) -> None:
    assert "error[unknown-" in cli("check", "net.yaml", code=1).stderr


def test_every_command(cli, net, tmp_path) -> None:
    plugin = ("--plugin", "squares")
    assert ": net is sound: " in cli("check", "net.yaml", *plugin).stdout
    assert "squared_relu" in cli("show", "net.yaml", *plugin).stdout
    assert "act: squared_relu" in cli("expand", "net.yaml", *plugin).stdout
    assert cli("explain", "net.yaml", "act", *plugin).stdout.startswith("act: squared_relu\n")
    assert cli("explain", "squared_relu", *plugin).stdout.startswith("# squared_relu\n")
    assert "  squared_relu " in cli("explain", *plugin).stdout
    cli("build", "net.yaml", "--to", "onnx", "--verify", *plugin)
    cli("build", "net.yaml", "--to", "torch", "--verify", *plugin)
    assert "F.relu(x).square()" in (tmp_path / "net.py").read_text(encoding="utf-8")
    assert " ok" in cli("verify", "net.yaml", *plugin).stdout


def test_expanded_spec_is_the_same_network(cli, net) -> None:
    text = cli("expand", "net.yaml", "--plugin=squares").stdout
    assert cli("expand", "-", "--plugin=squares", input=text).stdout == text


def test_set_and_suggestions(cli, net) -> None:
    out = cli("check", "net.yaml", "--plugin=squares", "--set", "act=relu").stdout
    assert "is sound" in out
    net.write_text(SPEC.replace("act: act", "act: squared_rellu"), encoding="utf-8")
    err = cli("check", "net.yaml", "--plugin=squares", code=1).stderr
    assert "did you mean `squared_relu`?" in err
    assert "squared_relu" in cli("explain", "squared_rel", "--plugin=squares", code=2).stderr


def test_network_of_the_zoo_takes_it(cli, net) -> None:
    plugin = ("--plugin", "squares", "--set", "act=squared_relu")
    (net.parent / "mine.yaml").write_text(
        SPEC.replace("act: squared_relu", "act: relu"), encoding="utf-8"
    )
    assert "is sound" in cli("check", "mine.yaml", *plugin).stdout
    assert "is sound" in cli("check", "resnet18", "--plugin=squares").stdout


def test_block_of_a_spec_goes_before_it(cli, net) -> None:
    own = "blocks: {squared_relu: {body: [sigmoid]}}\nlayers:"
    net.write_text(SPEC.replace("layers:", own), encoding="utf-8")
    plain = cli("expand", "net.yaml").stdout
    assert "sigmoid" in plain
    assert cli("expand", "net.yaml", "--plugin=squares").stdout == plain


def test_working_folder_is_searched_for_plugins_only(cli, net, tmp_path) -> None:
    before = list(sys.path)
    cli("check", "net.yaml", "--plugin", "squares")
    cli("check", "net.yaml", "--plugin", "nothing", code=1)
    assert sys.path == before
    (tmp_path / "json.py").write_text("OPS = {}", encoding="utf-8")
    assert (
        "plugin `json`: it has no ops" in cli("check", "net.yaml", "--plugin=json", code=1).stderr
    )


def test_module_in_a_package(cli, net, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "squares.py").rename(tmp_path / "mine" / "ops.py")
    cli("check", "net.yaml", "--plugin", "mine.ops", "--plugin", "mine.ops")


def test_api(net, tmp_path, monkeypatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not archc.check("net.yaml").ok
    assert archc.check("net.yaml", plugins=["squares"]).ok
    model = archc.load("net.yaml", plugins=["squares"]).eval()
    assert model(torch.zeros(2, 8)).shape == (2, 4)
    assert archc.build("net.yaml", plugins=["squares"]) == (Path("net.onnx"),)
    assert archc.verify("net.yaml", plugins=["squares"], batches=[2]).ok
    (found,) = archc.check("net.yaml", plugins=["nothing"]).diagnostics
    assert found.code == "bad-plugin"
    with pytest.raises(archc.SpecError, match="plugin `nothing`: there is no module `nothing`"):
        archc.load("net.yaml", plugins=["nothing"])


def test_public_names_exist() -> None:
    assert sorted(public.__all__) == sorted(set(public.__all__))
    for name in public.__all__:
        assert hasattr(public, name)


def test_public_names_are_enough_for_ops_of_archc() -> None:
    """What the fields and methods of archc's ops are annotated with can be had from there."""
    for op in (OPS["conv"], OPS["softmax"], OPS["prelu"], OPS["attention"]):
        for base in op.__mro__:
            if base.__module__.startswith("archc.ops.base"):
                assert getattr(public, base.__name__) is base


# -- pyproject.toml ---------------------------------------------------------------------------


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


ENABLED = '[tool.archc]\nplugins = ["squares"]\n'


def test_project_enables_an_installed_plugin(cli, net, tmp_path, monkeypatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "squares.py").rename(site / "squares.py")
    monkeypatch.syspath_prepend(str(site))
    configure(tmp_path, ENABLED)
    cli("check", "net.yaml")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    cli("check", "../net.yaml", "--plugin", "squares")
    cli("explain", "squared_relu")


def test_project_of_a_spec_enables_nothing(cli, net, tmp_path, monkeypatch) -> None:
    configure(tmp_path, '[tool.archc]\nplugins = ["nothing_of_this_name"]\n')
    (tmp_path / "elsewhere").mkdir()
    configure(tmp_path / "elsewhere", "")
    monkeypatch.chdir(tmp_path / "elsewhere")
    net.write_text(SPEC.replace("squared_relu", "relu"), encoding="utf-8")
    cli("check", "../net.yaml")


def test_project_cannot_have_its_own_code_run(net, tmp_path) -> None:
    """A repository of somebody else: its settings name a module that lies in it."""
    (tmp_path / "squares.py").write_text("open('ran', 'w')\n" + PLUGIN, encoding="utf-8")
    configure(tmp_path, ENABLED)
    code = "import sys; sys.path = [p for p in sys.path if p]\n"
    code += "from archc.cli import main; main(['check', 'net.yaml'])"
    process = start(code, cwd=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err == (
        "error[bad-plugin]: plugin `squares`: there is no module `squares`\n"
        " --> pyproject.toml:2:13\n"
        "  |\n"
        '2 | plugins = ["squares"]\n'
        "  |             ^^^^^^^ enabled here\n"
        "  = help: install the plugin (pip install -e .): a configured one is not looked for in the"
        " folder\n"
        "1 error in 1 file\n"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[tool.archc\n", "1:12", "it is no TOML: "),
        ("[tool]\narchc = 1\n", "2:1", "`tool.archc` is no table"),
        ("[tool.archc]\nplugin = []\n", "2:1", "`tool.archc` has no key `plugin`; it takes"),
        ("[tool.archc]\nplugins = 'a'\n", "2:1", "`plugins` is a list of names of modules"),
        ("[tool.archc]\nplugins = [1]\n", "2:1", "`plugins` is a list of names of modules"),
    ],
)
def test_bad_settings(cli, small, tmp_path, text, place, message) -> None:
    configure(tmp_path, text)
    err = cli("check", "small.yaml", code=1).stderr
    assert err.startswith(f"error[bad-config]: pyproject.toml: {message}")
    assert f" --> pyproject.toml:{place}\n" in err
    assert [found.code for found in configured(tmp_path / "pyproject.toml")[1]] == ["bad-config"]


@pytest.mark.parametrize("text", ["", "[tool.other]\nplugins = 1\n", "[project]\nname = 'archc'\n"])
def test_settings_of_others(cli, small, tmp_path, text) -> None:
    configure(tmp_path, text)
    cli("check", "small.yaml")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_folder_that_is_gone(small, tmp_path) -> None:
    gone = tmp_path / "gone"
    code = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
    code += f"from archc.cli import main; main(['check', {str(small)!r}])"
    process = start(code, cwd=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "is sound" in out


# -- plugins at fault -------------------------------------------------------------------------

CLASS = "from archc.plugin import *\nclass A(Activation):\n    torch_module = 'nn.ReLU'\n"
GOOD = CLASS + "    onnx_operator = 'Relu'\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("import nothing_of_this_name\n", "1:1", "its import failed: No module named 'nothing_of"),
        ("x = 1\nraise ValueError('no')\n", "2:1", "its import failed: ValueError: no"),
        ("import sys\nsys.exit(3)\n", "2:1", "its import failed: SystemExit: 3"),
        ("x = (\n", "1:1", "its import failed: SyntaxError: '(' was never closed"),
        ("x = 1\n", "1:1", "it has no ops: `OPS` maps names to classes"),
        ("OPS = [1]\n", "1:1", "it has no ops: `OPS` maps names to classes"),
        ("OPS = {'a': 1}\n", None, "`a` is no subclass of archc.plugin.Op"),
        ("class A: pass\nOPS = {'a': A}\n", "1:1", "`a` is no subclass of archc.plugin.Op"),
        (f"{GOOD}OPS = {{'relu': A}}\n", "2:1", "`relu` is an op of archc already"),
        (f"{GOOD}OPS = {{'mlp': A}}\n", "2:1", "`mlp` is a standard block of archc already"),
        (f"{GOOD}OPS = {{'a b': A}}\n", "2:1", "`a b` cannot name an op"),
        (f"{GOOD}OPS = {{1: A}}\n", "2:1", "`1` cannot name an op"),
        (f"{GOOD}OPS = {{'residual': A}}\n", "2:1", "`residual` cannot name an op"),
        (f"{GOOD}OPS = {{'for': A}}\n", "2:1", "`for` cannot name an op"),
        (f"{GOOD}OPS = {{'when': A}}\n", "2:1", "`when` cannot name an op"),
        (
            "from archc.plugin import *\nclass A(Op):\n    pass\nOPS = {'a': A}\n",
            "2:1",
            "`a` has no `infer`",
        ),
        (
            "from archc.plugin import *\nclass A(Op):\n    def infer(self, cx, x): return x\n"
            "    def to_torch(self, t, x): return t.expr('{0}', x)\nOPS = {'a': A}\n",
            "2:1",
            "`a` has no `to_onnx`",
        ),
        (f"{GOOD}    principal = 'size'\nOPS = {{'a': A}}\n", "2:1", "`a` has no attribute `size`"),
        (
            f"{GOOD}    when: Int = 1\nOPS = {{'a': A}}\n",
            "2:1",
            "`a`: `when` is an attribute of",
        ),
        (
            f"{GOOD}    size: 'Nothing'\nOPS = {{'a': A}}\n",
            "2:1",
            "the attributes of `a` have no",
        ),
    ],
)
def test_bad_plugin(cli, small, tmp_path, text, place, message) -> None:
    (tmp_path / "faulty.py").write_text(text, encoding="utf-8")
    result = cli("check", "small.yaml", "--plugin", "faulty", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith(f"error[bad-plugin]: plugin `faulty`: {message}")
    shown = " --> faulty\n" if place is None else f" --> faulty.py:{place}\n"
    assert shown in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no module `nothing`"),
        ("json.nothing", "there is no module `json.nothing`"),
        ("nothing.at.all", "there is no module `nothing`"),
        ("a-b", "that is no name of a module"),
        ("", "that is no name of a module"),
        ("./squares.py", "that is no name of a module"),
        ("json", "it has no ops"),
    ],
)
def test_what_is_no_plugin(cli, small, name, message) -> None:
    err = cli("check", "small.yaml", "--plugin", name, code=1).stderr
    assert err.startswith(f"error[bad-plugin]: plugin `{name}`: {message}")


def test_two_plugins_with_one_name(cli, net, tmp_path) -> None:
    (tmp_path / "other.py").write_text(PLUGIN, encoding="utf-8")
    err = cli("check", "net.yaml", "--plugin=squares", "--plugin=other", code=1).stderr
    assert "plugin `other`: `squared_relu` is an op of plugin `squares` already" in err


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("    def infer(self, cx, x): return 1 // 0\n", ("check", "net.yaml")),
        ("    def to_torch(self, t, x): return 1 // 0\n", ("build", "net.yaml", "--to", "torch")),
        ("    def to_onnx(self, g, x): return 1 // 0\n", ("build", "net.yaml", "--to", "onnx")),
    ],
)
def test_plugin_that_fails_later(cli, net, tmp_path, line, command) -> None:
    text = f"{GOOD}{line}OPS = {{'squared_relu': A}}\n"
    (tmp_path / "squares.py").write_text(text, encoding="utf-8")
    err = cli(*command, "--plugin", "squares", code=1).stderr
    assert err.startswith(
        "archc: the plugin `squares` failed: ZeroDivisionError: integer division or modulo by zero "
        f"({tmp_path / 'squares.py'}:5)\n"
    )


def test_nothing_is_imported_to_complete_a_line(net, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    completed("archc build net.yaml --plugin squares --variant ", monkeypatch)
    completed("archc explain --plugin squares squ", monkeypatch)
    assert not (tmp_path / "ran").exists()


def test_public_names_are_typed(tmp_path) -> None:
    """A plugin passes mypy in strict mode."""
    pytest.importorskip("mypy")
    (tmp_path / "squares.py").write_text(PLUGIN, encoding="utf-8")
    root = Path(archc.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "squares.py")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
