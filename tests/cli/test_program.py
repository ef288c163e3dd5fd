"""The program around the commands: help, completion, signals, terminals, what it imports."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from archc import __version__
from archc.cli import COMMANDS, archc
from archc.cli.printing import use_color
from archc.cli.progress import Progress, format_size

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
FRAMEWORKS = {"numpy", "onnx", "onnxruntime", "safetensors", "torch", "torchvision", "PIL"}

# Enough weights for a signal to arrive while they are written.
LARGE = """\
archc: 1
name: large
inputs: {x: [N, 8192]}
layers:
  for i in range(12):
    "fc{i}": {linear: 8192}
"""


def start(code: str, *, cwd: Path, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **pipes)


def program(*arguments: str, before: str = "") -> str:
    """Code that runs the program; a shell in the background would have it ignore Ctrl-C."""
    return (
        f"import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); {before}\n"
        f"from archc.cli import main; main({list(arguments)!r})"
    )


# -- help -------------------------------------------------------------------------------------


def test_version(cli) -> None:
    assert cli("--version").stdout == f"archc, version {__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command(cli, option) -> None:
    text = cli(option).stdout
    for name, line in COMMANDS.items():
        assert f"  {name} " in text
        assert line.split()[0] in text


def test_every_module_of_a_command_is_listed() -> None:
    names = {path.stem for path in (ROOT / "archc" / "cli").glob("[!_]*.py")}
    modules = {name: importlib.import_module(f"archc.cli.{name}") for name in names}
    assert {name for name in names if hasattr(modules[name], "command")} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(cli, name) -> None:
    text = cli(name, "-h").stdout
    assert text.startswith(f"Usage: archc {name}")
    assert cli(name, "--no-such-option", code=2).stderr.count("Error: ") == 1


def test_without_arguments_help_is_printed(cli) -> None:
    result = CliRunner().invoke(archc, [], prog_name="archc")
    assert "Commands:" in result.output


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("chek", "did you mean `check`?"),
        ("net.yaml", "did you mean `archc check net.yaml`?"),
        ("zzzz", f"there are {', '.join(sorted(COMMANDS))}"),
    ],
)
def test_unknown_command(cli, word, hint) -> None:
    assert hint in cli(word, code=2).stderr


# -- completion -------------------------------------------------------------------------------


def completed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is told for a line; `file` stands for: complete names of files."""
    words = line.split(" ")
    monkeypatch.setenv("_ARCHC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    result = CliRunner().invoke(archc, prog_name="archc")
    assert result.exit_code == 0
    kinds = [line.partition(",") for line in result.stdout.splitlines() if line]
    return ["file" if kind == "file" else value for kind, _, value in kinds]


def test_commands_and_options_are_completed(monkeypatch) -> None:
    assert completed("archc ", monkeypatch) == sorted(COMMANDS)
    assert completed("archc e", monkeypatch) == ["expand", "explain"]
    assert completed("archc build --ve", monkeypatch) == ["--verify"]
    assert completed("archc build net.yaml --to ", monkeypatch) == ["onnx", "torch"]
    assert "shape-mismatch" in completed("archc explain shape-", monkeypatch)


@pytest.mark.parametrize(
    "line", ["archc check ", "archc build ", "archc run ", "archc build a.yaml --weights "]
)
def test_files_are_completed(monkeypatch, line) -> None:
    assert completed(line, monkeypatch) == ["file"]


def test_variants_are_completed(monkeypatch) -> None:
    spec = SPECS / "vgg.yaml"
    found = completed(f"archc build {spec} --to onnx --variant vgg1", monkeypatch)
    assert sorted(found) == sorted(f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn"))
    assert completed(f"archc check {spec} --variant vgg11_", monkeypatch) == ["vgg11_bn"]
    assert completed("archc build none.yaml --variant v", monkeypatch) == []


def test_completion_script_is_printed(monkeypatch) -> None:
    for shell in ("bash", "zsh", "fish"):
        monkeypatch.setenv("_ARCHC_COMPLETE", f"{shell}_source")
        result = CliRunner().invoke(archc, prog_name="archc")
        # click asks bash for its version; the script is printed where there is one.
        assert "_ARCHC_COMPLETE" in result.stdout


# -- imports ----------------------------------------------------------------------------------


def imported(*arguments: str, cwd: Path) -> set[str]:
    """The frameworks that a run of the program has imported."""
    code = (
        "import sys\nfrom archc.cli import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit as end:\n    status = end.code\n"
        f"print('\\nimported', status or 0, *sorted({FRAMEWORKS!r} & set(sys.modules)))"
    )
    process = start(code, cwd=cwd)
    out, err = process.communicate()
    status, *names = out.splitlines()[-1].split()[1:]
    assert status == "0", err
    return set(names)


@pytest.mark.parametrize(
    ("spec", "ops"),
    [
        ("lenet5", "AvgPool Conv Flatten Linear Softmax"),
        # Its `interpolation: bilinear` is a word of attributes of ops that it does not use.
        ("vit", "Attention Conv Dropout LayerNorm Linear PrependParam Rearrange Select"),
    ],
)
def test_checking_makes_the_classes_of_the_ops_in_use_only(tmp_path, spec, ops) -> None:
    code = (
        "import sys\nfrom archc.cli import main\n"
        f"try:\n    main(['check', {str(SPECS / f'{spec}.yaml')!r}])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "from archc.ops.base import Op\n"
        "made = {op.__name__: op.__pydantic_complete__ for op in Op.__subclasses__()}\n"
        "print(*(name for name, complete in sorted(made.items()) if complete))\n"
        "print(*sorted(one for one in sys.modules if one.startswith('archc.ops.')))"
    )
    out, err = start(code, cwd=tmp_path).communicate()
    built, modules = out.splitlines()[-2:]
    assert not err
    assert built == ops
    assert not {f"archc.ops.{name}" for name in ("recurrent", "resize", "window")} & {
        *modules.split()
    }


@pytest.mark.parametrize("command", [["check"], ["check", "--output-format=sarif"], ["expand"]])
def test_looking_at_a_spec_imports_no_framework(tmp_path, command) -> None:
    assert imported(*command, str(SPECS / "resnet.yaml"), cwd=tmp_path) == set()


def test_building_onnx_imports_neither_torch_nor_onnx(tmp_path) -> None:
    names = imported("build", str(SPECS / "lenet5.yaml"), "--to", "onnx", cwd=tmp_path)
    assert names == {"numpy"}


def test_building_torch_imports_neither_torch_nor_onnx(tmp_path) -> None:
    assert imported("build", str(SPECS / "lenet5.yaml"), "--to", "torch", cwd=tmp_path) == {"numpy"}


def test_running_imports_no_torch(tmp_path, model) -> None:
    assert imported("run", str(model), cwd=tmp_path) == {"numpy", "onnxruntime"}


# An import that fails as it does where a package is not installed.
BLOCK = """
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "lenet5.yaml"],
        ["build", "lenet5.yaml", "--to", "onnx", "--verify"],
        ["build", "lenet5.yaml", "--to", "onnx", "--weights", "w.pth"],
    ],
)
def test_missing_torch_is_said_with_the_way_to_install_it(lenet5, tmp_path, arguments) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    process = start(program(*arguments, before=BLOCK % "torch"), cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("error[missing-extra]: ")
    assert "= help: pip install 'archc[torch]'\n" in err
    assert not (tmp_path / "lenet5.onnx").exists()


def test_missing_pillow_is_said_likewise(model, tmp_path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    process = start(program("run", str(model), "x.png", before=BLOCK % "PIL"), cwd=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 1
    assert "error[missing-extra]" in err
    assert "= help: pip install 'archc[image]'\n" in err


# -- signals and streams ----------------------------------------------------------------------


# On a busy machine a build could end before the signal is sent: each piece takes its time.
SLOW = """
import time
from archc.output import OutputFile
write = OutputFile.write
def slow(self, data):
    time.sleep(1)
    return write(self, data)
OutputFile.write = slow
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_a_signal_leaves_no_trace(tmp_path, number, target) -> None:
    (tmp_path / "large.yaml").write_text(LARGE, encoding="utf-8")
    arguments = ("build", "large.yaml", "--to", target)
    process = start(program(*arguments, before=SLOW), cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.archc-tmp")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["large.yaml"]
    assert out == ""
    assert err == ("archc: interrupted\n" if number == signal.SIGINT else "")


def test_interrupt_right_after_a_file_was_made_leaves_no_trace(tmp_path) -> None:
    code = "import os, sys; from pathlib import Path; from archc.output import OutputFile\n"
    code += "file = OutputFile(Path('a'), Path('a')); print(os.listdir()); sys.exit(3)"
    process = start(code, cwd=tmp_path)
    out, _ = process.communicate()
    assert process.returncode == 3
    assert ".archc-tmp" in out
    assert list(tmp_path.iterdir()) == []


def test_reader_that_has_gone_is_no_error(tmp_path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(program("explain"), cwd=tmp_path, stdout=writer)
    os.close(writer)
    _, err = process.communicate()
    assert process.returncode == 141
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["explain"], ["-h"], ["check", str(SPECS / "lenet5.yaml")]])
def test_full_disk_under_standard_output(tmp_path, arguments) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(program(*arguments), cwd=tmp_path, stdout=full)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err == "archc: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX's")
def test_limit_on_file_size(lenet5, tmp_path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))"
    code = program("build", "lenet5.yaml", "--to", "onnx", before=limit)
    process = start(code, cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"})
    _, err = process.communicate()
    assert process.returncode == 1
    assert "error[unwritable-output]: cannot write `lenet5.onnx`: file too large" in err
    assert [path.name for path in tmp_path.iterdir()] == ["lenet5.yaml"]


def test_closed_streams(broken, tmp_path) -> None:
    code = program("check", "broken.yaml", before="sys.stdout = sys.stderr = None")
    process = start(code, cwd=tmp_path)
    process.communicate()
    assert process.returncode == 1


def test_text_that_a_stream_cannot_encode(tmp_path) -> None:
    name = "\u7db2.yaml"
    (tmp_path / name).write_bytes((SPECS / "lenet5.yaml").read_bytes())
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "1"}
    process = start(program("check", name), cwd=tmp_path, env=environment)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.startswith("\\u7db2.yaml: lenet5 is sound")


def test_fault_of_ours_is_said_in_a_line(cli, small, monkeypatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("impossible")

    monkeypatch.setattr("archc.cli.check.check_file", fail)
    err = cli("check", "small.yaml", code=70).stderr
    assert err.startswith("archc: internal error: AssertionError: impossible\n")
    assert "Traceback" not in err
    monkeypatch.setenv("ARCHC_TRACEBACK", "1")
    with pytest.raises(AssertionError, match="impossible"):
        cli("check", "small.yaml")


# -- terminals --------------------------------------------------------------------------------


class Terminal:
    def __init__(self, is_one: bool = True) -> None:
        self.is_one = is_one
        self.text = ""

    def isatty(self) -> bool:
        return self.is_one

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_colors_are_for_terminals_that_take_them(monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert use_color(Terminal())
    assert not use_color(Terminal(is_one=False))
    assert not use_color(None)
    monkeypatch.setenv("TERM", "dumb")
    assert not use_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_color(Terminal())


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_colors_on_a_terminal(broken, tmp_path, no_color) -> None:
    main, terminal = os.openpty()
    environment = {"NO_COLOR": no_color, "TERM": "xterm"}
    code = program("check", "broken.yaml")
    process = start(code, cwd=tmp_path, stderr=terminal, env=environment)
    os.close(terminal)
    text = b""
    try:
        while piece := os.read(main, 4096):
            text += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(main)
    process.communicate()
    assert b"unknown-op" in text
    assert (b"\x1b[" in text) == (not no_color)


def test_progress_is_shown_after_a_second_on_a_terminal(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("archc.cli.progress.PATIENCE", 0.01)
    with Progress() as progress:
        progress.show("one \x1b step")
        deadline = time.monotonic() + 30
        while not terminal.text:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.15)
        progress.show("another")
    assert terminal.text == "\r\x1b[Kone \\x1b step\r\x1b[Kanother\r\x1b[K"


def test_short_work_shows_no_progress(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress() as progress:
        progress.show("one")
    assert terminal.text == ""


def test_progress_is_for_terminals(monkeypatch) -> None:
    stream = Terminal(is_one=False)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("archc.cli.progress.PATIENCE", 0.0)
    with Progress() as progress:
        time.sleep(0.05)
        progress.show("one")
        time.sleep(0.15)
        progress.show("two")
    assert stream.text == ""


def test_sizes_of_files() -> None:
    sizes = [0, 999, 1000, 246_900, 5_000_000, 61_706_000_000]
    texts = ["0 bytes", "999 bytes", "1.0 kB", "246.9 kB", "5.0 MB", "61.7 GB"]
    assert [format_size(size) for size in sizes] == texts
