"""JSON becomes CSV: a list of objects, read one object at a time.

The shape of Autodesk's JSON exports is not documented. Read here: an array of objects, or an object
in which exactly one value is a list of objects. What stands beside that list may say that it is not
all there is, as it does in lists of the APIs (`pagination`); then it is not taken for the whole.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TextIO

from tap_autodesk_exports.files.csv_dialect import write_row
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.json_text import DECODER, Number, Object, compact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

_BLOCK = 1 << 20
MAX_VALUE = 64 << 20
"""Characters that one object may have."""
MAX_COLUMNS = 10_000
"""Different names that all objects together may have: each row has a cell for every one."""
MAX_BESIDE = 1000
"""Values beside the list of objects that are looked at."""
_COUNT = re.compile(
    r"(total|numberof)?(rows?|records?|results?|items?|elements?|entries|count)?(count)?"
)
"""Names of values that say how many objects there are, in small letters without separators."""
_MORE = re.compile(
    r"next.*|has(more|next).*|more|(is)?truncated|(is)?partial|(is)?incomplete|continuation.*"
    r"|cursor|offset|skip|errors?.*|.*(error|exception)"
)
"""Names of values that say, unless they are empty, that not all is there."""
_SPACE = re.compile(r"[ \t\n\r]*")


def list_to_csv(path: Path, target: Path, *, expected: Collection[str] = ()) -> None:
    """Write the objects in `path` as rows; nested values become compact JSON text.

    The columns are the names of all objects in the order of their first appearance; a name that
    an object repeats is a further column of the same name. The file is read twice: for the names,
    then for the rows, with one object in memory at a time.

    Args:
        path: The JSON file.
        target: The CSV file to write.
        expected: The columns to write where the list is empty.

    Raises:
        FileError: Not valid JSON, not UTF-8, not exactly one list of objects, or a part of it.
    """
    try:
        columns: dict[tuple[str, int], int] = {(name, 1): at for at, name in enumerate(expected)}
        known: dict[tuple[str, int], int] = {}
        for row in _rows(path):
            for key, _ in _cells(row):
                known.setdefault(key, len(known))
            if len(known) > MAX_COLUMNS:
                raise FileError(path, f"is JSON with more than {MAX_COLUMNS} different names.")
        columns = known or columns
        if not columns:
            raise FileError(path, "is JSON with an empty list, so its columns are unknown.")
        with target.open("wb") as out:
            out.write(write_row([name.encode() for name, _ in columns]))
            for row in _rows(path):
                cells: list[bytes | None] = [None] * len(columns)
                for key, value in _cells(row):
                    cells[columns[key]] = _cell(value)
                out.write(write_row(cells))
    except RecursionError:  # it could be read, and not written
        raise FileError(path, "is JSON that is nested too deeply.") from None
    except UnicodeError:
        raise FileError(path, "is JSON with text that is not valid UTF-8.") from None
    except _SyntaxError as error:
        raise FileError(path, f"is not valid JSON: {error}. Fetch it again.") from None


def _rows(path: Path) -> Iterator[Object]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        text = _Text(file)
        lists = rows = 0
        for row in _find(text):
            if row is _LIST:
                lists += 1
                if lists > 1:
                    raise FileError(path, "is JSON with more than one list of objects.")
            elif isinstance(row, Object):
                rows += 1
                yield row
            else:
                raise FileError(path, "is JSON with a list that mixes objects and other values.")
        if text.peek():
            raise _SyntaxError("there is text behind its end")  # noqa: EM101, TRY003
        if not lists and not text.empty_lists:
            raise FileError(
                path, "is JSON without a list of objects, perhaps an error message. Fetch it again."
            )
        _check_all_there(path, text.beside, rows)


def _check_all_there(path: Path, beside: Iterable[tuple[Sequence[str], Any]], rows: int) -> None:
    """Check that nothing beside the rows says that they are a part of what there is.

    Raises:
        FileError: Something does.
    """
    for names, value in beside:
        letters = [re.sub(r"[^a-z]", "", name.lower()) for name in names]
        number = value if isinstance(value, Number) else None
        is_other_count = number and _COUNT.fullmatch(letters[-1]) and number != str(rows)
        says_more = value and number != "0" and any(map(_MORE.fullmatch, letters))
        if is_other_count or says_more:
            problem = (
                f"is JSON with {rows} rows, and its '{'.'.join(names)[:100]}' says that these are "
                "not all. A newer release of this tap may know how to get the others."
            )
            raise FileError(path, problem)


def _cells(row: Object) -> Iterator[tuple[tuple[str, int], Any]]:
    seen: dict[str, int] = {}
    for name, value in row:
        seen[name] = seen.get(name, 0) + 1
        yield (name, seen[name]), value


def _cell(value: Any) -> bytes | None:  # noqa: ANN401
    if value is None:
        return None
    return (value if isinstance(value, str) else compact(value)).encode()


_LIST = object()
"""Stands before the elements of each list of objects."""


def _find(text: _Text, names: tuple[str, ...] = ()) -> Iterator[Any]:
    """Walk a value; yield `_LIST` and the elements of every list that begins with an object.

    Args:
        text: The text, at the value.
        names: The names that lead to it.
    """
    match text.peek():
        case "{":
            for _ in text.members("{", "}"):
                name = text.value()
                if not isinstance(name, str):
                    raise _SyntaxError("an object has a name that is no string")  # noqa: EM101, TRY003
                text.take(":")
                yield from _find(text, (*names, name))
        case "[":
            yield from _find_in_list(text, names)
        case _:
            text.note(names, text.value())


def _find_in_list(text: _Text, names: tuple[str, ...]) -> Iterator[Any]:
    objects = False
    empty = True
    for _ in text.members("[", "]"):
        if empty and text.peek() == "{":
            objects = True
            yield _LIST
        empty = False
        value = text.value()
        if objects:
            yield value
    if not objects and not empty:
        text.note(names, True)  # noqa: FBT003
    text.empty_lists |= empty


class _SyntaxError(ValueError):
    """The text is not JSON."""


class _Text:
    """A window over a JSON text."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._window = ""
        self._at = 0
        self._ended = False
        self.empty_lists = False
        self.beside: list[tuple[tuple[str, ...], Any]] = []

    def note(self, names: tuple[str, ...], value: Any) -> None:  # noqa: ANN401
        """Note a value that stands beside the list of objects."""
        if names and len(self.beside) < MAX_BESIDE:
            self.beside.append((names, value))

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end of the text."""
        while True:
            found = _SPACE.match(self._window, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._window) or not self._more():
                return self._window[self._at : self._at + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise _SyntaxError(f"a '{character}' is missing")  # noqa: EM102, TRY003
        self._at += 1

    def members(self, begin: str, end: str) -> Iterator[None]:
        """Stop at each member of an object or array, between its commas."""
        self.take(begin)
        if self.peek() == end:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == end:
                self._at += 1
                return
            self.take(",")

    def value(self) -> Any:  # noqa: ANN401
        """Read the next value whole."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._window, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise _SyntaxError(error.msg) from None
            except RecursionError:
                raise _SyntaxError("it is nested too deeply") from None  # noqa: EM101, TRY003
            else:
                # A number at the edge of the window may go on behind it.
                if end < len(self._window) or not self._more():
                    self._at = end
                    return value

    def _more(self) -> bool:
        rest = self._window[self._at :]
        if self._ended or len(rest) > MAX_VALUE:
            return False
        read = self._file.read(max(_BLOCK, len(rest)))
        self._ended = not read
        self._window, self._at = rest + read, 0
        return bool(read)
