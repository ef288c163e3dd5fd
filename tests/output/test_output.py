"""Output files are complete or absent."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from archc.output import OutputError, OutputFile, OutputSet, atomic_file, scratch_folder, temporary

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")


def refusal(path: Path, **options: list[Path]) -> tuple[str, str, tuple[str, ...]]:
    with pytest.raises(OutputError) as caught, atomic_file(path, **options) as file:
        file.write(b"new")
    found = caught.value.diagnostic
    assert found.is_error
    assert found.path == str(path)
    return found.code, found.message, found.help


# -- what is written --------------------------------------------------------------------------


def test_content_arrives_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out"
    pieces = [b"a" * 10, bytes(3 << 20), b"", b"b" * (1 << 20), memoryview(b"cd" * 5)]
    with atomic_file(path) as file:
        for piece in pieces:
            file.write(piece)
            assert not path.exists()
        assert file.size == sum(len(piece) for piece in pieces)
    assert path.read_bytes() == b"".join(pieces)
    assert list(tmp_path.iterdir()) == [path]


def test_an_array_is_written_as_its_bytes(tmp_path: Path) -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    with atomic_file(tmp_path / "out") as file:
        assert file.write(array.data) == 24
    assert (tmp_path / "out").read_bytes() == array.tobytes()


def test_libraries_can_write_into_it(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    with atomic_file(path) as file:
        np.savez(file, a=np.arange(5), b=np.ones((2, 3)))
    with np.load(path) as loaded:
        np.testing.assert_array_equal(loaded["a"], np.arange(5))
        np.testing.assert_array_equal(loaded["b"], np.ones((2, 3)))


@posix
def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    for mask in (0o022, 0o077, 0o002):
        old = os.umask(mask)
        try:
            with atomic_file(tmp_path / f"out{mask}") as file:
                file.write(b"x")
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / f"out{mask}").stat().st_mode) == 0o666 & ~mask


@posix
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_file(path) as file:
        file.write(b"new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)


@posix
def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "out", tmp_path / "link"
    link.symlink_to(target)
    for text in (b"new", b"newer"):  # at first it points to nothing
        with atomic_file(link) as file:
            file.write(text)
        assert link.is_symlink()
        assert target.read_bytes() == text


def test_a_long_name_leaves_room_for_what_is_temporary(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with atomic_file(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


# -- what is refused --------------------------------------------------------------------------


def test_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "none" / "out"
    code, message, help = refusal(path)
    assert code == "unwritable-output"
    assert message == f"cannot write `{path}`: the folder `{path.parent}` does not exist"
    assert help == (f"mkdir -p {path.parent}",)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    code, message, _ = refusal(tmp_path / "file" / "out")
    assert code == "unwritable-output"
    assert "is a file, not a folder" in message


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    code, message, _ = refusal(tmp_path)
    assert code == "unwritable-output"
    assert message.endswith("it is a folder")


@posix
@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device(device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"no {device} here")
    code, message, _ = refusal(Path(device))
    assert code == "unwritable-output"
    assert "device" in message
    assert stat.S_ISCHR(Path(device).stat().st_mode)


@posix
def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe")[0] == "unwritable-output"


def test_an_input_under_any_name(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("spec")
    (tmp_path / "other").hardlink_to(spec)
    (tmp_path / "link").symlink_to(spec)
    for name in ("spec.yaml", "other", "link", "./spec.yaml"):
        code, message, _ = refusal(tmp_path / name, inputs=[spec, tmp_path / "missing"])
        assert code == "overwrites-input"
        assert "would be overwritten" in message
    assert spec.read_text() == "spec"


def test_a_side_file_that_is_an_input(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("w")
    with pytest.raises(OutputError), OutputSet(tmp_path / "out", inputs=[weights]) as out:
        out.side(tmp_path / "data").path = weights
    assert list(tmp_path.iterdir()) == [weights]
    assert weights.read_text() == "w"


def test_a_file_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # to root it never is
    assert refusal(tmp_path / "out")[1].endswith("it is read-only")
    assert (tmp_path / "out").read_text() == "old"


@posix
def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert refusal(tmp_path / "a")[0] == "unwritable-output"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "no space left on device"),
        (errno.EROFS, "read-only file system"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_what_the_system_refuses_is_a_diagnostic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, reason: str
) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, call, fail)
    code, message, help = refusal(path)
    monkeypatch.undo()
    assert (code, message) == ("unwritable-output", f"cannot write `{path}`: {reason}")
    assert bool(help) == (number != errno.EIO)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_too_little_room_is_said_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(OutputError) as caught, OutputSet(path) as out:
        out.need(1000)
        out.need(free + 2**40)
    found = caught.value.diagnostic
    assert found.code == "unwritable-output" and found.help
    assert re.search(r"it takes [\d,.]+ MB, and [\d,.]+ MB are free there$", found.message)
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


# -- failures on the way ----------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_in_the_body_discards_everything(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(type(error)), OutputSet(path) as out:
        out.side(tmp_path / "data").write(b"data")
        out.main.write(bytes(2 << 20))
        raise error
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


@posix
def test_ctrl_c_in_a_process_leaves_nothing(tmp_path: Path) -> None:
    code = """
import signal, sys, time
from archc.output import atomic_file
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
with atomic_file(sys.argv[1]) as file:
    file.write(bytes(1 << 21))
    print("writing", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_sides_appear_before_the_main_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    move = OutputFile.move

    def watched(file: OutputFile) -> None:
        order.append(file.path.name)
        move(file)

    monkeypatch.setattr(OutputFile, "move", watched)
    with OutputSet(tmp_path / "main") as out:
        out.main.write(b"refers to one and two")
        one = out.side(tmp_path / "x")
        out.side(tmp_path / "two").write(b"2")
        one.write(b"1")
        one.path = tmp_path / "one"
    assert order == ["one", "two", "main"]
    assert out.paths == (tmp_path / "main", tmp_path / "one", tmp_path / "two")
    assert {path.name for path in tmp_path.iterdir()} == {"main", "one", "two"}


@pytest.mark.parametrize("failing", ["new", "kept", "main"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "no"), KeyboardInterrupt()])
def test_a_failure_while_moving_puts_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    (tmp_path / "kept").write_text("old kept")
    (tmp_path / "main").write_text("old main")
    replace = Path.replace

    def watched(source: Path, target: Path) -> Path:
        if target.name == failing and source.read_bytes().startswith(b"fresh"):
            raise error
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", watched)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected), OutputSet(tmp_path / "main") as out:
        out.main.write(b"fresh main")
        out.side(tmp_path / "new").write(b"fresh new")
        out.side(tmp_path / "kept").write(b"fresh kept")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"kept": "old kept", "main": "old main"}


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"0" * 1000)
    code = """
import sys
from archc.output import atomic_file
for number in range(1, 40):
    with atomic_file(sys.argv[1]) as file:
        for _ in range(1000):
            file.write(b"%d" % (number % 10))
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        content = path.read_bytes()
        assert len(content) == 1000
        assert len(set(content)) == 1
    assert process.wait(1) == 0
    assert path.read_bytes() == b"9" * 1000


# -- files that must be new -------------------------------------------------------------------


def test_new_file_appears(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a", replaces=False) as output:
        output.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_file_that_exists_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with (
        pytest.raises(OutputError, match="it exists already"),
        atomic_file(tmp_path / "a", replaces=False),
    ):
        raise AssertionError("too late")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_file_that_comes_in_between_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        with atomic_file(tmp_path / "b", replaces=False) as output:
            output.write(b"new")
        assert (tmp_path / "b").read_bytes() == b"new"
    with (
        pytest.raises(OutputError, match="file exists"),
        atomic_file(tmp_path / "a", replaces=False) as output,
    ):
        output.write(b"new")
        (tmp_path / "a").write_bytes(b"theirs")
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b"}


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_another_build_withdraws_is_not_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def access(name: Path, mode: int) -> bool:
        path.unlink(missing_ok=True)
        found = real(name, mode)
        if replaced:
            (tmp_path / "next").write_bytes(b"theirs")
            (tmp_path / "next").replace(path)
        return found

    real = os.access
    monkeypatch.setattr(os, "access", access)
    with atomic_file(path) as file:
        file.write(b"mine")
    assert path.read_bytes() == b"mine"


# -- what others have left in the folder --------------------------------------------------------


def next_output(folder: Path) -> None:
    with atomic_file(folder / "next") as file:
        file.write(b"next")
    (folder / "next").unlink()


@posix
def test_temporaries_of_the_dead_are_removed_and_of_the_living_are_kept(tmp_path: Path) -> None:
    dead = tmp_path / ".0123456789abcdef.archc-tmp"
    dead.write_bytes(b"left")
    others = [".0123456789abcdef.archc-tmp2", "0123456789abcdef.archc-tmp", ".01.archc-tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"somebody's")
    with OutputSet(tmp_path / "main") as out:
        out.side(tmp_path / "side").write(b"side")
        assert not dead.exists()
        living = {path.name for path in tmp_path.iterdir()}
        next_output(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == living
        out.main.write(b"main")
    assert {path.name for path in tmp_path.iterdir()} == {*others, "main", "side"}


@posix
def test_folders_of_the_dead_are_removed_and_of_the_living_are_kept(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"mine")
    dead = tmp_path / ".0123456789abcdef.archc-dir"
    (dead / "inside").mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "inside" / "link").symlink_to(tmp_path / "precious")
    others = [".0123456789abcdee.archc-dir", ".01.archc-dir", ".0123456789abcdef.archc-dir2"]
    others.append(".0123456789abcdea.archc-dir")  # no process made this one
    (tmp_path / others[0]).symlink_to(tmp_path / "precious")
    (tmp_path / others[1]).mkdir()
    (tmp_path / others[2]).mkdir()
    (tmp_path / others[3]).mkdir()
    (tmp_path / others[3] / "file").write_bytes(b"somebody's")
    with scratch_folder(tmp_path) as living:
        assert not dead.exists()
        (living / "file").write_bytes(b"used")
        assert stat.S_IMODE(living.stat().st_mode) == 0o700
        next_output(tmp_path)
        with scratch_folder(tmp_path) as other:
            assert other != living
        assert (living / "file").read_bytes() == b"used"
    dead.mkdir()
    next_output(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, "precious"}
    assert (tmp_path / "precious" / "file").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file"), scratch_folder(tmp_path / "none"):
        pass


@posix
def test_what_only_looks_like_a_temporary_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / ".0000000000000001.archc-tmp").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / ".0000000000000002.archc-tmp")
    (tmp_path / ".0000000000000003.archc-tmp").mkdir()
    os.mkfifo(tmp_path / ".0000000000000004.archc-set")
    next_output(tmp_path)
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert len(list(tmp_path.glob("*.archc-tmp"))) == 3


TEMPORARY = ".0123456789abcdef.archc-tmp"


def planted(right: list[int]) -> dict[str, object]:
    """Records that a stranger could put into a repository, and which file is the right one."""
    wrong = [right[0] + 1, *right[1:]]
    return {
        "another file": [[TEMPORARY, "mine", None, wrong, None]],
        "over a file that has changed": [[TEMPORARY, "mine", None, right, [1, 2, 3]]],
        "out of the folder": [[TEMPORARY, "../mine", None, right, None]],
        "no temporary file": [["mine", "other", None, right, None]],
        "the folder": [[TEMPORARY, "..", None, right, None]],
        "an empty name": [[TEMPORARY, "", None, right, None]],
        "a NUL": [[TEMPORARY, "a\0b", None, right, None]],
        "no moves": [],
        "no list": 7,
        "no entries": [1, [2], {}],
        "no identity": [[TEMPORARY, "mine", None, None, 5]],
        "deep": json.loads("[" * 200 + "]" * 200),
    }


@posix
@pytest.mark.parametrize("case", planted([0, 0, 0]))
def test_a_planted_record_moves_nothing(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "mine", folder / "mine"):
        path.write_bytes(b"mine")
    (folder / TEMPORARY).write_bytes(b"theirs")
    found = (folder / TEMPORARY).stat()
    record = planted([found.st_ino, found.st_size, found.st_mtime_ns])[case]
    (folder / ".0123456789abcdef.archc-set").write_text(json.dumps(record), encoding="utf-8")
    next_output(folder)
    assert {path.name for path in folder.iterdir()} == {"mine"}
    assert (tmp_path / "mine").read_bytes() == (folder / "mine").read_bytes() == b"mine"


@posix
def test_who_holds_the_folder_is_waited_for_but_not_for_ever(tmp_path: Path, monkeypatch) -> None:
    import fcntl

    monkeypatch.setattr(temporary, "_PATIENCE", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    code, message, _ = refusal(tmp_path / "out")
    assert (code, message.partition(": ")[2]) == (
        "unwritable-output",
        "another process keeps the folder locked",
    )
    os.close(descriptor)
    next_output(tmp_path)


@posix
def test_an_interrupt_between_two_moves_leaves_no_mixture(tmp_path: Path, monkeypatch) -> None:
    states: list[str] = []
    replace = Path.replace

    def watched(source: Path, target: Path) -> Path:
        found = replace(source, target)
        main, side = tmp_path / "main", tmp_path / "side"
        states.append(
            (main.read_text() if main.exists() else "-")
            + (side.read_text() if side.exists() else "-")
        )
        if target == main and main.read_text() == "2":
            raise KeyboardInterrupt
        return found

    for number in ("1", "2"):
        if number == "2":
            monkeypatch.setattr(Path, "replace", watched)
        with (
            contextlib.suppress(KeyboardInterrupt),
            OutputSet(tmp_path / "main") as out,
        ):
            out.main.write(number.encode())
            out.side(tmp_path / "side").write(number.encode())
    assert set(states) <= {"11", "-1", "-2", "22"}
    assert (tmp_path / "main").read_text() == (tmp_path / "side").read_text() == "1"
    assert {path.name for path in tmp_path.iterdir()} == {"main", "side"}
