"""docs/zoo.md: complete, passing, and written by its program."""

from __future__ import annotations

from archc.parity import FACTOR, FLOOR
from tests.zoo import table
from tests.zoo.catalogue import TORCHVISION
from tests.zoo.table import PAGE, SAME, measure, read_rows, with_rows, write_row


def test_the_page_has_a_passing_row_for_each_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = read_rows(text)
    assert list(rows) == [name for _, _, name in TORCHVISION]
    for row in rows.values():
        limit = max(FLOOR, FACTOR * 1.05 * float(row.float32))  # two digits are written
        assert float(row.written) <= limit, row
        assert float(row.optimized) <= limit, row
        assert row.torch == SAME or float(row.torch) <= limit, row


def test_the_program_writes_the_page(tmp_path, monkeypatch) -> None:
    page = tmp_path / "zoo.md"
    text = PAGE.read_text(encoding="utf-8")
    rows = read_rows(text)
    assert with_rows(text, rows) == text
    page.write_text(with_rows(text, {"resnet18": rows["resnet18"]}), encoding="utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    row = measure("squeezenet", "squeezenet1_1", "squeezenet1_1")
    write_row(row)
    assert read_rows(page.read_text(encoding="utf-8")) == {
        "resnet18": rows["resnet18"],
        "squeezenet1_1": row,
    }
    assert row.line.count("|") == rows["squeezenet1_1"].line.count("|")
