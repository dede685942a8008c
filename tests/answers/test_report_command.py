"""`autodesk-exports report` where there is nothing to report on, and what must not leave a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from click.testing import CliRunner

from tap_autodesk_exports.cli import main
from tap_autodesk_exports.report_page import page
from tap_autodesk_exports.report_page.warehouse import connect
from tap_autodesk_exports.tables.database_file import why_unopened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }} \"'&"


def report(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["report", *arguments])
    return done.exit_code, done.output


def test_a_missing_warehouse_is_a_sentence(tmp_path: Path):
    code, said = report(str(tmp_path / "none.duckdb"))
    assert code == 1
    assert "There is no warehouse" in said
    assert "Traceback" not in said


def damaged(content: bytes) -> bytes:
    return content[:5000] + b"z" * 100 + content[5100:]


NO_WAREHOUSES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "text": (lambda _: b"no database " * 1000, "it is no DuckDB file"),
    "a SQLite file": (lambda _: b"SQLite format 3\0".ljust(4096, b"\0"), "it is no DuckDB file"),
    "a little text": (lambda _: b"hi", "it is no DuckDB file"),
    "nothing": (lambda _: b"", "it is empty, cut or damaged"),
    "half of one": (lambda content: content[:9000], "it is empty, cut or damaged"),
    "a damaged one": (damaged, "it is empty, cut or damaged"),
}


@pytest.mark.parametrize("name", NO_WAREHOUSES)
def test_a_file_that_is_no_warehouse_is_a_sentence(name: str, tmp_path: Path):
    """It is in plain words, not in DuckDB's own, and nothing is downloaded to read it."""
    path = tmp_path / "note.duckdb"
    duckdb.connect(str(path)).close()
    make, sentence = NO_WAREHOUSES[name]
    path.write_bytes(make(path.read_bytes()))
    code, said = report(str(path))
    assert code == 1
    assert f"could not be opened: {sentence}" in said
    assert len(said.splitlines()) == 1
    assert "Extension" not in said


def test_a_warehouse_that_another_program_has_open_is_a_sentence(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    reason = why_unopened(path, duckdb.IOException("Could not set lock on file: Conflicting lock"))
    assert reason == "another program has it open. Close that program, and try again."


def test_a_page_that_cannot_be_written_is_a_sentence(hostile: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "page.html", tmp_path / ("x" * 300)):
        code, said = report(str(hostile), "--output", str(output))
        assert code == 1
        assert "cannot be written" in said
        assert "give another --output" in said


def test_a_name_that_is_too_long_is_no_warehouse():
    code, said = report("x" * 300)
    assert code == 1
    assert "There is no warehouse" in said


def test_a_warehouse_without_marts_says_what_to_run(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    code, said = report(str(path), "--schema", "answers")
    assert code == 1
    assert "dbt build" in said


def test_a_password_in_the_address_is_not_shown():
    code, said = report("postgresql://me:s3cret-w0rd@127.0.0.1:1/none")
    assert code == 1
    assert "could not be reached" in said
    assert "s3cret" not in said


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A warehouse with one mart, whose texts try to be more than texts."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA answers")
        connection.execute(
            "CREATE TABLE answers.submittal_backlog AS SELECT 'p' AS project_id, ? AS project_name,"
            " 'Open' AS status, 2 AS items, 2 AS waiting, 1 AS past_required_on_job,"
            " 0 AS required_within_30_days, 0 AS review_late",
            [HOSTILE],
        )
    return path


def test_names_are_text_and_nothing_else(hostile: Path):
    with connect(str(hostile), "answers") as marts:
        text = page.render(marts, HOSTILE)
    before, _, rest = text.partition("<script>")  # Vega itself can make images
    assert "<img" not in before + rest.partition("</script>")[2]
    assert "49" not in text.partition("<h1>")[2].partition("</h1>")[0]
    assert text.count("</script>") == 3
    assert "&lt;/script&gt;&lt;img" in text


def test_the_command_writes_the_page_and_names_it(hostile: Path, tmp_path: Path):
    to = tmp_path / "new" / "page.html"
    code, said = report(str(hostile), "--output", str(to), "--title", "Mine")
    assert code == 0, said
    assert str(to) in said
    assert "<title>Mine</title>" in to.read_text(encoding="utf-8")
