from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from archc.diagnostics import Diagnostic
from archc.spec.files import read_source


def refused(path: str, **options: int) -> Diagnostic:
    source, found = read_source(path, **options)
    assert source is None
    assert len(found) == 1
    assert found[0].primary is None
    return found[0]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer, closed=False))
    return buffer


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ü.yaml"
    path.write_bytes("archc: 1\r\ndoc: é😀\n".encode())
    source, found = read_source(str(path))
    assert found == []
    assert source is not None
    assert (source.name, source.text) == (str(path), "archc: 1\r\ndoc: é😀\n")


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfarchc: 1")
    source, _ = read_source(str(path))
    assert source is not None
    assert source.text == "archc: 1"


def test_standard_input(stdin: io.BytesIO) -> None:
    stdin.write(b"archc: 1\n")
    stdin.seek(0)
    source, found = read_source("-")
    assert found == []
    assert source is not None
    assert (source.name, source.text) == ("<stdin>", "archc: 1\n")


def test_standard_input_is_checked_like_a_file(stdin: io.BytesIO) -> None:
    stdin.write(b"a" * 11)
    stdin.seek(0)
    problem = refused("-", max_size=10)
    assert (problem.code, problem.path) == ("file-too-large", "<stdin>")


def test_standard_input_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-").code == "unreadable-file"


@pytest.mark.parametrize("wanted", ["resnt.yaml", "resnet.yml", "resnet"])
def test_missing_with_a_suggestion(tmp_path: Path, wanted: str) -> None:
    (tmp_path / "resnet.yaml").touch()
    (tmp_path / "unlike.txt").touch()
    problem = refused(str(tmp_path / wanted))
    assert (problem.code, problem.path) == ("missing-file", str(tmp_path / wanted))
    assert problem.help == (f"did you mean {tmp_path / 'resnet.yaml'}?",)


def test_missing_without_a_suggestion(tmp_path: Path) -> None:
    assert refused(str(tmp_path / "zzz.yaml")).help == ()


def test_missing_directory(tmp_path: Path) -> None:
    problem = refused(str(tmp_path / "no" / "a.yaml"))
    assert problem.code == "missing-file"
    assert f"there is no directory {tmp_path / 'no'}" in problem.message


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch()
    assert refused(str(tmp_path / "a.yaml" / "b.yaml")).code == "missing-file"


@pytest.mark.parametrize("name", ["", "a\0b", "a\ud800b"])
def test_names_no_file_can_have(name: str) -> None:
    assert refused(name).code == "missing-file"


def test_a_name_too_long() -> None:
    assert refused("a" * 5000).code == "unreadable-file"


def test_a_directory(tmp_path: Path) -> None:
    problem = refused(str(tmp_path))
    assert problem.code == "not-a-file"
    assert "a directory" in problem.message
    for name in ("b.yaml", "a.yml", "a.txt"):
        (tmp_path / name).touch()
    assert refused(str(tmp_path)).help == (f"name a file in it, for example {tmp_path / 'a.yml'}",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    problem = refused(str(tmp_path / "pipe"))
    assert problem.code == "not-a-file"
    assert "a pipe" in problem.message
    assert "-" in problem.help[0]


def test_a_device_is_not_read() -> None:
    assert refused(os.devnull).code == "not-a-file"


def test_not_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.touch()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(Path, "open", refuse)
    problem = refused(str(path))
    assert (problem.code, problem.path) == ("unreadable-file", str(path))
    assert "permission denied" in problem.message


def test_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a" * 2048)
    assert read_source(str(path), max_size=2048)[0] is not None
    problem = refused(str(path), max_size=2047)
    assert problem.code == "file-too-large"


def test_undecodable_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    problem = refused(str(path))
    assert problem.code == "bad-text"
    assert "0xE9 at offset 11 (line 2)" in problem.message
    assert problem.help == ("save it as UTF-8",)


def test_offsets_count_the_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa\xff")
    assert "offset 4" in refused(str(path)).message


def test_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\x08\x0a\x00\x00\xff\xfe\x00")
    problem = refused(str(path))
    assert problem.code == "bad-text"
    assert "binary" in problem.help[0]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(("\ufeff" + "archc: 1\n").encode(encoding))
    problem = refused(str(path))
    assert problem.code == "bad-text"
    assert encoding[:6].upper() in problem.message
