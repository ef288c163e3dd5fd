"""What a stranger might try on the reader and on expressions: every row of `docs/security.md`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archc.compile import check_file
from archc.diagnostics.text import render_full
from tests.fuzz.harness import cpu_limit

SECONDS = 20  # CPU time that tells a bound from none, also on a crowded machine.
HEAD = "archc: 1\nname: net\ninputs: {x: [N, 3, 8, 8]}\n"
GOOD = f"{HEAD}layers: [relu]\n"


def layer(value: str) -> str:
    return f"{HEAD}layers: [{{conv: {value}}}]\n"


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}\n" for i in range(1, 30)
)
BLOCKS = "".join(f"  b{i}: {{body: [{', '.join([f'b{i - 1}'] * 9)}]}}\n" for i in range(1, 20))

ROWS: dict[str, tuple[bytes, str]] = {
    "alias bomb": ((HEAD + LAUGHS + "layers: [relu]\n").encode(), "yaml-feature"),
    "merge bomb": ((HEAD + MERGES + "layers: [relu]\n").encode(), "yaml-feature"),
    "200,000 brackets": ((HEAD + "layers: " + "[" * 200_000).encode(), "too-deep"),
    "200,000 braces": ((HEAD + "layers: " + "{a: " * 200_000).encode(), "too-deep"),
    "cycle": (f"{HEAD}layers: &x [relu, *x]\n".encode(), "yaml-feature"),
    "duplicate key": (f"{GOOD}layers: [relu]\n".encode(), "duplicate-key"),
    "lone surrogate": ((GOOD + 'doc: "\\ud800"\n').encode(), "bad-yaml"),
    "lone surrogate as bytes": (GOOD.encode() + b"doc: \xed\xa0\x80\n", "bad-text"),
    "bad escape": ((GOOD + 'doc: "\\q"\n').encode(), "bad-yaml"),
    "impossible date, a difference": (layer("2024-13-45").encode(), "accepted"),
    "impossible date, a text": (GOOD.replace("net", "2024-02-31").encode(), "accepted"),
    "huge integer": (layer("9" * 400).encode(), ""),
    "huge hexadecimal": (layer("0x" + "f" * 5000).encode(), ""),
    "huge float": (layer("1e999999999").encode(), ""),
    "tab": (f"{HEAD}layers:\n\t- relu\n".encode(), "bad-yaml"),
    "CRLF": (GOOD.replace("\n", "\r\n").encode(), "accepted"),
    "lone CR": (GOOD.replace("\n", "\r").encode(), "accepted"),
    "BOM": (b"\xef\xbb\xbf" + GOOD.encode(), "accepted"),
    "UTF-16": (GOOD.encode("utf-16"), "bad-text"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "bad-text"),
    "NUL": (GOOD.encode() + b"doc: a\0b\n", "bad-text"),
    "9**9**9": (layer("9**9**9").encode(), "expression-limit"),
    "1<<10**10": (layer("1<<10**10").encode(), ""),
    "5,000 terms": (layer("+".join("1" * 5000)).encode(), "expression-limit"),
    "100,000 minuses": (layer(f"'{'-' * 100_000}1'").encode(), "expression-limit"),
    "for over 10**12": (
        f"{HEAD}layers:\n - for i in range(10**12): [relu]\n".encode(),
        "expression-limit",
    ),
    "exponential blocks": (
        f"{HEAD}blocks:\n  b0: {{body: [relu]}}\n{BLOCKS}layers: [b19]\n".encode(),
        "expansion-limit",
    ),
    "exponential lists": (
        f"{HEAD}let: {{a: '[1] * 90000', b: '[a, a, a, a]'}}\nlayers: [relu]\n".encode(),
        "expression-limit",
    ),
}
"""Row -> the file, and the code of one of its errors; none where any will do."""


@pytest.mark.parametrize("row", ROWS)
def test_row(tmp_path: Path, row: str) -> None:
    content, code = ROWS[row]
    path = tmp_path / "net.yaml"
    path.write_bytes(content)
    with cpu_limit(SECONDS):
        checked = check_file(str(path))
    errors = [found for found in checked.diagnostics if found.is_error]
    if code == "accepted":
        assert checked.ok, errors
        return
    assert errors
    assert not code or code in {error.code for error in errors}
    for error in errors:
        assert error.primary is not None or error.path == str(path)
    shown = render_full(checked.diagnostics)
    assert re.search(r"net\.yaml(:\d+:\d+)?", shown)
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 100_000


def test_100_megabytes_of_text_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    with path.open("wb") as file:
        file.write(GOOD.encode())
        file.truncate(100_000_000)
    (found,) = check_file(str(path)).diagnostics
    assert found.code == "file-too-large"


def test_no_spec_raises_a_budget(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    for key in ("max_layers", "max-layers", "max_file_size", "max_parameters", "budgets"):
        path.write_text(f"{GOOD}{key}: 1000000000\n", encoding="utf-8")
        assert not check_file(str(path)).ok
