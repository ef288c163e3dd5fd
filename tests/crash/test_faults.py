"""Whatever call fails while files are written: the old output stays, or the new one is complete."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from archc.cli import archc as program
from tests.crash.faults import CALLS, ERRORS, Fault, injected
from tests.crash.outputs import BUILDS, SYNCED, Output, contents, temporaries

KINDS = list(BUILDS)
posix = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")
pytestmark = posix


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Output]:
    return {kind: Output(kind).learn(tmp_path_factory.mktemp(kind)) for kind in KINDS}


def counted(kind: str, folder: Path, old: int | None, new: int) -> list[str]:
    """The calls that a build makes."""
    folder.mkdir()
    if old is not None:
        BUILDS[kind](folder, old)
    with injected(folder, Fault()) as fault:
        assert BUILDS[kind](folder, new) == []
    return fault.seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_build_makes_calls_of_every_name(outputs, tmp_path: Path, kind: str) -> None:
    seen = counted(kind, tmp_path / "all", 0, 2)
    needed = set(CALLS) - (set() if kind.startswith("torch") else {"lseek"})
    assert set(seen) == needed - ({"dup"} if kind in SYNCED else {"fsync"})
    assert len(seen) > 12


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize(("old", "new"), [(None, 1), (0, 1), (0, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_call_may_fail(
    outputs, tmp_path: Path, kind: str, old: int | None, new: int, error: str
) -> None:
    fail_every_call(outputs[kind], tmp_path, old, new, error)


@pytest.mark.parametrize("error", sorted(set(ERRORS) - {"ENOSPC", "EIO"}))
def test_every_call_may_fail_otherwise(outputs, tmp_path: Path, error: str) -> None:
    fail_every_call(outputs["torch"], tmp_path, 0, 2, error)


def fail_every_call(output: Output, tmp_path: Path, old: int | None, new: int, error: str) -> None:
    kind = output.kind
    calls = counted(kind, tmp_path / "all", old, new)
    before = "nothing" if old is None else str(old)
    for number, name in enumerate(calls):
        folder = tmp_path / str(number)
        folder.mkdir()
        if old is not None:
            BUILDS[kind](folder, old)
        stays = number % 2 == 0
        with injected(folder, Fault(number, ERRORS[error], stays=stays)):
            problems = BUILDS[kind](folder, new)
        where = f"{name}, call {number}"
        assert output.state(folder) == (before if problems else str(new)), where
        for problem in problems:
            assert problem.code == "unwritable-output", where
            assert problem.message.endswith(os.strerror(ERRORS[error])[1:]), problem.message
        if name not in ("unlink", "close"):  # what tidies up cannot tidy up after itself
            assert temporaries(folder) == [], where
        assert BUILDS[kind](folder, 3) == []
        assert output.state(folder) == "3", where
        assert temporaries(folder) == [], where
        assert output.strangers(folder) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_writes_may_take_less_than_they_are_given(outputs, tmp_path: Path, kind: str) -> None:
    calls = counted(kind, tmp_path / "all", 0, 2)
    for number in [index for index, name in enumerate(calls) if name == "write"]:
        folder = tmp_path / str(number)
        folder.mkdir()
        with injected(folder, Fault(number, short=True, stays=True)):
            assert BUILDS[kind](folder, 2) == []
        assert outputs[kind].state(folder) == "2"


SMALL = "archc: 1\nname: small\ninputs: {x: [N, 3, 8, 8]}\nlayers: [{conv: 64, kernel: 5}]\n"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("create", "ENOSPC"),
        ("create", "EDQUOT"),
        ("write", "ENOSPC"),
        ("write", "EDQUOT"),
        ("write", "EIO"),
        ("close", "EIO"),
        ("close", "EDQUOT"),
        ("fsync", "EIO"),
        ("replace", "EIO"),
        ("replace", "EROFS"),
    ],
)
@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_the_program_says_why_and_ends_with_1(
    tmp_path: Path, monkeypatch, target: str, call: str, error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL, encoding="utf-8")
    arguments = ["build", "small.yaml", "--to", target, *(["--sync"] if call == "fsync" else [])]
    assert CliRunner().invoke(program, arguments).exit_code == 0
    before = contents(tmp_path)
    with injected(tmp_path, Fault()) as fault:
        assert CliRunner().invoke(program, arguments).exit_code == 0
    with injected(tmp_path, Fault(fault.seen.index(call), ERRORS[error], stays=True)):
        result = CliRunner().invoke(program, [*arguments, "--seed", "5"])
    assert result.exit_code == 1
    assert "error[unwritable-output]" in result.output
    assert os.strerror(ERRORS[error])[1:] in result.output
    assert contents(tmp_path) == before


# -- folders and disks --------------------------------------------------------------------------


def build(folder: Path, output: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    code = f"import sys\n{before}\nfrom archc.cli import main\nsys.argv[1:] = sys.argv[1:]\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, "build", "small.yaml", "--to", "torch", "-o", output],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    result = build(tmp_path, "none/small.py")
    assert result.returncode == 1
    assert "the folder `none` does not exist" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory on a folder."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


only_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root mounts"
)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "out").mkdir(mode=0o500)
    result = build(tmp_path, "out/small.py")
    assert result.returncode == 1
    assert "cannot write `out/small.py`: permission denied" in result.stderr
    assert "check the permissions of the folder" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


@only_root
def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "out").mkdir()
    with mounted(tmp_path / "out", "ro"):
        result = build(tmp_path, "out/small.py")
    assert result.returncode == 1
    assert "cannot write `out/small.py`: read-only file system" in result.stderr
    assert "the file system is mounted read-only" in result.stderr


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    result = build(tmp_path, "small.py", before=limit)
    assert result.returncode == 1
    assert "file too large" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


@only_root
@pytest.mark.parametrize("room", ["16k", "64k"])
def test_a_full_disk(tmp_path: Path, room: str) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, f"size={room}"):
        (disk / "filler").write_bytes(bytes(4096 if room == "16k" else 48 << 10))
        # What is free is not always told: the writing itself has to notice.
        blind = "import shutil, collections\nshutil.disk_usage = lambda _: "
        blind += "collections.namedtuple('U', 'free')(2**40)"
        for before in ("", blind):
            result = build(tmp_path, "disk/small.py", before=before)
            assert result.returncode == 1
            assert "free some space" in result.stderr
            assert [path.name for path in disk.iterdir()] == ["filler"]
