"""Lines, records, Parquet files and an independent reading in plain Python agree on every file.

The referee below shares no code with the package. The number of generated files is the profile's:
`HYPOTHESIS_EXAMPLES=10000 pytest tests/tables/test_differential.py` is the long run.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import os
import re
import tempfile
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.rescued import opened
from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import (
    Column,
    Encoding,
    Engine,
    Table,
    TableSchema,
    Type,
    layout,
    long_cells,
    parquet,
    reading,
)
from tap_autodesk_exports.tables.numbers import ParquetNumbers

if TYPE_CHECKING:
    from collections.abc import Iterator

S_AND_N = TableSchema((Column("s"), Column("n")))


class Road(NamedTuple):
    """Limits that decide whether a file is rewritten before it is read."""

    long: int
    most_unknown: int
    most_heavy: int


ORDINARY = Road(long_cells.LONG, layout.MOST_UNKNOWN, reading._MOST_HEAVY)
ROADS = (ORDINARY, ORDINARY, Road(2, 100, -1), Road(2, 0, 0), Road(1 << 20, 1, 0))
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
SAME = "HYPOTHESIS_EXAMPLES" not in os.environ
"""Whether the same files are generated each time; the variable asks for new ones."""
EXTRACT = Path(__file__).parents[2] / "../shared/data/extract"
EXPORT = {"export_id": "export 1", "exported_at": "2026-02-12 04:42:48"}


class Damaged(Exception):
    """The referee's word for a file that must be refused."""


# --- the referee ---------------------------------------------------------------------------------


def split(data: bytes) -> list[list[str | None]]:  # noqa: C901
    """Take a CSV apart character by character; None is an unquoted empty cell."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Damaged from error
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    at = 0
    while at < len(text) or row:
        if text[at : at + 1] == '"':
            cell: str | None = ""
            at += 1
            while True:
                end = text.find('"', at)
                if end < 0:
                    raise Damaged
                cell += text[at:end]
                at = end + 1
                if text[at : at + 1] != '"':
                    break
                cell += '"'
                at += 1
        else:
            end = min((i for i in (text.find(c, at) for c in ",\r\n") if i >= 0), default=len(text))
            cell = text[at:end] or None
            at = end
        row.append(cell)
        if text[at : at + 1] == ",":
            at += 1
            continue
        if text[at : at + 1] not in ("", "\r", "\n"):
            raise Damaged
        at += 2 if text[at : at + 2] == "\r\n" else 1
        rows.append(row)
        row = []
    if not rows or not any(rows[0]):
        raise Damaged
    width = len(rows[0])
    rows = rows[:1] + [row for row in rows[1:] if width == 1 or row != [None]]
    if any(len(row) != width for row in rows):
        raise Damaged
    return rows


def instant(text: str) -> str | None:
    found = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
        r"(?: ?(UTC|Z|([+-])(\d\d)(?::(\d\d))?))?)?",
        text,
        re.ASCII,
    )
    if not found:
        return None
    *numbers, fraction, _, sign, hours, minutes = found.groups()
    fraction = (fraction or "").ljust(6, "0")
    if fraction[6:].strip("0") or int(hours or 0) > 23 or int(minutes or 0) > 59:
        return None
    try:
        moment = dt.datetime(*(int(number or 0) for number in numbers), int(fraction[:6]))  # noqa: DTZ001
        offset = dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        moment += offset if sign == "-" else -offset
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="microseconds") + "Z"


def value(text: str, type_: Type) -> object:  # noqa: PLR0911
    """Return the value of a cell, None where the text does not fit."""
    match type_:
        case Type.STRING:
            return text
        case Type.NUMBER:
            if text[:1] not in "-0123456789" or text[-1:] not in "0123456789" or not text:
                return None
            try:
                return json.loads(text, parse_float=Decimal, parse_int=Decimal)
            except ValueError:
                return None
        case Type.BOOLEAN:
            return {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}.get(
                text.lower()
            )
        case Type.TIMESTAMP:
            return instant(text)
        case Type.DATE:
            moment = instant(text)
            return moment[:10] if moment and moment.endswith("T00:00:00.000000Z") else None
        case Type.TIME:
            padded = text + ":00" if len(text) == 5 else text
            moment = instant("2000-01-01 " + padded) if padded[-1:].isdigit() else None
            fits = moment and len(padded) in (8, *range(10, 16)) and "+" not in text
            return padded if fits and "-" not in text else None


def judge(data: bytes, schema: TableSchema) -> list[dict]:  # noqa: C901
    """Return the records that the file must give."""
    header, *rows = split(data)
    types = {column.name: column.type for column in schema.columns}
    place: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for at, raw in enumerate(header):
        name = schema.rename(raw) if raw else f"column_{at + 1}"
        if name in types and name not in place:
            place[name] = at
            continue
        unique, repeated = name, 2
        while unique in place or unique in unknown:
            unique, repeated = f"{name}#{repeated}", repeated + 1
        unknown[unique] = at
    if types and not place:
        raise Damaged
    records = []
    for row in rows:
        record: dict = {}
        rescued = {}
        identity: dict[str, str] = {}
        for name, type_ in types.items():
            text = row[place[name]] if name in place else None
            typed = None if text is None else value(text, type_)
            record[name] = typed
            if text is not None and typed is None:
                rescued[name] = text
            bare = typed is not None and type_ is Type.NUMBER
            counts = short(text) if type_ is Type.STRING or typed is None else typed
            identity[name] = text if bare else in_json(counts)
        rescued |= {name: row[at] for name, at in unknown.items() if row[at] is not None}
        for name, (_, text) in schema.constants.items():
            record[name], identity[name] = text, in_json(text)
        record |= {
            "_export_id": EXPORT["export_id"],
            "_exported_at": instant(EXPORT["exported_at"]),
        }
        record["_rescued_data"] = rescued or None
        key = joined([identity[name] for name in schema.key or types])
        others = [name for name in types if name not in schema.key and name in place]
        others.sort(key=lambda name: types[name] not in {Type.STRING, Type.UUID})
        order = [counted(row[place[name]], types[name]) for name in others]
        members = {name: row[at] for name, at in unknown.items() if row[at] is not None}
        if len(unknown) > layout.MOST_UNKNOWN:
            order.append(short(joined_members(members)) if members else None)
        else:
            order += [short(row[at]) for at in unknown.values()]
        records.append((key, [(cell is not None, cell or "") for cell in order], record))
    counters: dict[str, int] = {}
    for key, _, record in sorted(records, key=lambda entry: entry[:2]):
        number = counters[key] = counters.get(key, -1) + 1
        record["_row_id"] = md5(key + f"#{number}" if number else key)
    return [record for *_, record in records]


def counted(cell: str | None, type_: Type) -> str | None:
    """Return what a cell counts as in the order of rows with one key."""
    typed = None if cell is None else value(cell, type_)
    if typed is None or type_ is Type.STRING:
        return short(cell)
    if type_.is_number:
        return cell
    return str(typed).lower() if isinstance(typed, bool) else str(typed)


def short(cell: str | None) -> str | None:
    """Return what stands for a long cell in an id."""
    data = (cell or "").encode()
    if len(data) <= long_cells.LONG:
        return cell
    return long_cells.MARK + hashlib.sha256(data).hexdigest()


def joined_members(members: dict[str, str]) -> str:
    return ",".join(f"{in_json(name)}:{in_json(text)}" for name, text in members.items())


def joined(values: list[str]) -> str:
    return "[" + ",".join(values) + "]"


def in_json(cell: object) -> str:
    text = json.dumps(cell, ensure_ascii=False)
    return re.sub(r"\\u[0-9a-f]{4}|\\.", lambda m: m[0][:2] + m[0][2:].upper(), text)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324


# --- both roads ----------------------------------------------------------------------------------


def fast(table: Table, selected: set[str]) -> list[dict]:
    lines = b"".join(
        table.lines("rows", selected, version=7, time_extracted="2026-01-01T00:00:00Z")
    )
    assert lines == b"" or lines.endswith(b"\n")
    messages = [
        json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines.split(b"\n")[:-1]
    ]
    for message in messages:
        assert list(message) == ["type", "stream", "record", "version", "time_extracted"]
        assert list(message["record"]) == [c.name for c in table.columns if c.name in selected]
    return [opened(message["record"]) for message in messages]


def plain(table: Table, selected: set[str]) -> list[dict]:
    return [
        {name: Decimal(cell) if type(cell) is int else cell for name, cell in record.items()}
        for record in map(opened, table.records(selected))
    ]


def columnar(table: Table, selected: set[str], folder: Path) -> list[dict]:
    """Return the rows of Parquet files."""
    files = table.batches(
        lambda number: (folder / f"{number}.parquet").open("wb"),
        selected,
        encoding=Encoding.PARQUET,
        rows_per_file=10_000,
    )
    return [
        row for number in files for row in pq.read_table(folder / f"{number}.parquet").to_pylist()
    ]


MEANING = {
    Type.NUMBER: Decimal,
    Type.DATE: dt.date.fromisoformat,
    Type.TIME: dt.time.fromisoformat,
    Type.TIMESTAMP: dt.datetime.fromisoformat,
}


def values(records: list[dict], types: dict[str, Type]) -> list[dict]:
    """Order the records by their ids, and read what is text in one place and not in another."""
    meaning = {"_rescued_data": json.loads} | {
        name: MEANING[type_] for name, type_ in types.items() if type_ in MEANING
    }
    found = [
        {
            name: meaning.get(name, str)(cell) if isinstance(cell, str) else cell
            for name, cell in record.items()
        }
        for record in records
    ]
    return sorted(found, key=itemgetter("_row_id"))


def canonical(records: list[dict]) -> list[tuple]:
    """Order the records by their ids; digits count, so numbers become texts."""
    return sorted(
        (
            record["_row_id"],
            repr([(k, str(v) if isinstance(v, Decimal) else v) for k, v in record.items()]),
        )
        for record in records
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for all files, as in a run of the tap."""
    engine = Engine(tmp_path_factory.mktemp("engine"))
    yield engine
    engine.close()


def compare(data: bytes, schema: TableSchema, folder: Path, engine: Engine) -> None:
    path = folder / "rows.csv"
    path.write_bytes(data)
    try:
        records = judge(data, schema)
    except Damaged:
        for ask in (Table.count, lambda table: columnar(table, {"_row_id"}, folder)):
            with (
                pytest.raises(FileError, match=r"rows\.csv"),
                Table(path, schema, **EXPORT, engine=engine) as table,
            ):
                ask(table)
        return
    expected = canonical(records)
    with Table(path, schema, **EXPORT, engine=engine) as table:
        selected = {column.name for column in table.columns}
        found = columnar(table, selected, folder)
        assert values(found, schema.types) == values(records, schema.types)
        assert table.count() == len(expected)
        assert canonical(fast(table, selected)) == expected
        assert canonical(plain(table, selected)) == expected
    assert list(engine.folder.iterdir()) == []


# --- generated files -----------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from(
        (
            "", "0", "-0", "1", "007", "+5", ".5", "5.", "1,5", "NaN", "Infinity", "1e-7", "1E+400",
            "0.10", "12345678901234567890.10", "9" * 5000, "-", "--1", " 1", "1 ", "0x1", "1_000",
            "٣", "t", "f", "True", "FALSE", "yes", "tRUE", "\u017f", "2024-02-29", "2023-02-29",
            "2024-2-9", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "2024-01-01 00:00",
            "2024-01-01T00:00:00.000", "2024-01-01 24:00:00", "2024-01-01 23:59:60", "-2024-01-01",
            "2024-01-01 01:02:03.1", "2024-01-01 01:02:03.123456", "2024-01-01 01:02:03.1234567",
            "2024-01-01 01:02:03.12345600", "2024-01-01 01:02:03.", "2024-01-01 01:02:03 UTC",
            "2025-12-17T08:14:33.157+00:00",
            "2024-01-01 00:30:00+01", "2024-01-01 00:30:00-23:59",
            "0001-01-01 00:30:00+01:00", "9999-12-31 23:30:00-01:00", "2024-01-01 00:00:00+24:00",
            "2024-01-01 01:02Z", "1960-01-01 00:00:00.000001", "1582-10-10", "infinity", "epoch",
            "2024-01-01 (BC)", "2024-01-01 00:00:00 Europe/Berlin", "00:00", "23:59:59.999999",
            "24:00", "1:00", "12:00:00.1234567", "12:00Z", "12:00:00-01", " x", "x ", "\t", "\tt",
            '"', '""', 'a"b', "a,b", "a\nb", "a\r\nb", "a\rb", "\x00", "a\x00b", "\\", "\\N",
            "null", "\u2028", "\ufeff", "\x7f\x1f", "😀", "'", "{}", "[1]", "#", "-1:a", "$1",
        )
    ),
    st.text(max_size=8),
    st.text(alphabet='a1",\n\r \t', max_size=6),
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)  # fmt: skip
NAMES = ("s", "n", "b", "d", "t", "ts")
TYPES = (Type.STRING, Type.NUMBER, Type.BOOLEAN, Type.DATE, Type.TIME, Type.TIMESTAMP)
LAYOUTS = st.builds(
    TableSchema,
    columns=st.just(tuple(map(Column, NAMES, TYPES))),
    key=st.sampled_from(((), ("s",), ("team", "n", "b"), ("ts", "d", "t"))),
    constants=st.just({"team": (Type.STRING, "it's")}),
    rename=st.sampled_from((str, str.strip, str.lower)),
    numbers=st.just(ParquetNumbers()),
)
HEADERS = st.lists(
    st.sampled_from((*NAMES, *NAMES, "S", " n", "new", "s#2", "column_1", "", 'q"x', "l\nf", "é")),
    min_size=1,
    max_size=8,
)


PLAIN = {
    "s": st.sampled_from(("a", "b", "x,y", 'q"q', "l\nf", "é", " x", "t\t")) | st.text(max_size=5),
    "n": st.integers(-999, 10**19).map(str)
    | st.decimals(-999, 10**19, places=2).map(str)
    | st.integers(-999, 999).map(str),
    "b": st.sampled_from(("t", "f")),
    "d": st.dates().map(str),
    "t": st.times().map(str),
    "ts": st.datetimes().map(lambda at: str(at).rstrip("0") if at.microsecond else str(at)),
    "new": st.text(max_size=5),
}


@st.composite
def ordinary_files(draw: st.DrawFn) -> bytes:
    """Build a file of the usual spellings, most of them with something odd in one place."""
    header = draw(st.lists(st.sampled_from(list(PLAIN)), min_size=2, max_size=7, unique=True))
    cells = [st.just("") | PLAIN[name] | PLAIN[name] | PLAIN[name] for name in header]
    rows = draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=12, unique_by=tuple))
    match draw(st.sampled_from(("nothing", "nothing", "cell", "row"))):
        case "cell":
            draw(st.sampled_from(rows))[draw(st.integers(0, len(header) - 1))] = draw(CELLS)
        case "row":
            rows.append(draw(st.sampled_from(rows)))
    return draw(csv_of(header, rows, quoted=0))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Build a file of any cells."""
    header = draw(HEADERS)
    rows = draw(
        st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=12).flatmap(
            lambda rows: st.just(rows + rows[:2]) | st.just(rows)
        )
    )
    return draw(csv_of(header, rows, quoted=draw(st.integers(min_value=0))))


@st.composite
def csv_of(draw: st.DrawFn, header: list[str], rows: list[list[str]], quoted: int) -> bytes:
    """Write a file, sometimes with damage. The bits of `quoted` choose cells to be quoted."""
    newline = draw(st.sampled_from(("\n", "\n", "\n", "\r\n", "\r")))

    def written(cell: str, position: int) -> str:
        if any(c in cell for c in '",\r\n') or quoted >> (position % 64) & 1:
            return '"' + cell.replace('"', '""') + '"'
        return cell

    text = newline.join(
        ",".join(written(cell, at * 7 + row) for at, cell in enumerate(cells))
        for row, cells in enumerate([header, *rows])
    )
    data = (text + draw(st.sampled_from((newline, newline, "", newline * 2)))).encode()
    data = draw(st.sampled_from((b"", b"\xef\xbb\xbf"))) + data
    match draw(st.sampled_from(("whole", "whole", "whole", "cut", "spliced"))):
        case "cut":
            data = data[: draw(st.integers(0, len(data)))]
        case "spliced":
            at = draw(st.integers(0, len(data)))
            damage = draw(
                st.sampled_from(
                    (b'"', b",", b"\n", b"\r", b" ", b"\xff", b"\xed\xa0\x80", b"\x00", b' "x" ')
                )
            )
            data = data[:at] + damage + data[at:]
    return data


SOUP = st.lists(
    st.sampled_from(
        (b"s", b"n", b"1", b",", b",", b"\n", b"\n", b'"', b'"', b'""', b" ", b"\r", b"\t")
    ),
    max_size=24,
).map(lambda parts: b"s,n\n" + b"".join(parts))


@settings(
    max_examples=EXAMPLES,
    derandomize=SAME,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    data=files() | ordinary_files() | SOUP,
    schema=LAYOUTS,
    block=st.sampled_from((1, 7, csv_dialect._BLOCK)),
    first=st.sampled_from((1, 3, reading._FIRST_ROWS)),
    road=st.sampled_from(ROADS),
)
@example(data=b's,n\n1, "x"\n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b's,n\n1,"x" \n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b"s,n\n1,2,\n", schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b's,n\n1,x"y\n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b's,n\n1,"2', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b's,n\n"" "\n",2\n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(
    data=b's,n\n"""",""\n"""""",""""\n',
    schema=S_AND_N,
    block=7,
    first=1,
    road=ORDINARY,
)
@example(data=b's,n\n"s" "s",1\n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b's,n\n" ","s"" ""s"\n', schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(data=b"s\n\n\n1\n", schema=TableSchema((Column("s"),)), block=7, first=1, road=ORDINARY)
@example(
    data=b's,"\rq""x",s\n' + b",,\n" * 9,
    schema=S_AND_N,
    block=7,
    first=1,
    road=ORDINARY,
)
@example(data=b"s,n\n1,2\r\n3,4\n", schema=S_AND_N, block=7, first=1, road=ORDINARY)
@example(  # a long text, and a long cell that is no number though its column is
    data=b"s,s,n\n,007,000\n",
    schema=TableSchema((Column("s"), Column("n", Type.NUMBER))),
    block=7,
    first=1,
    road=Road(2, 100, -1),
)
@example(  # what JSON escapes, in an unknown column of rows that share their key
    data=b"s,n,new,b\n,,4,\n,,\x0b,\n",
    schema=TableSchema((Column("n", Type.NUMBER),)),
    block=1,
    first=1,
    road=Road(2, 0, 0),
)
def test_both_roads_and_the_referee_agree_or_refuse_alike(  # noqa: PLR0913, PLR0917
    engine: Engine, data: bytes, schema: TableSchema, block: int, first: int, road: Road
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(csv_dialect, "_WINDOW", block),
        mock.patch.object(long_cells, "LONG", road.long),
        mock.patch.object(layout, "MOST_UNKNOWN", road.most_unknown),
        mock.patch.object(reading, "_MOST_HEAVY", road.most_heavy),
        mock.patch.object(csv_dialect, "_BLOCK", block),  # so that small files have many of them,
        mock.patch.object(reading, "_FIRST_ROWS", first),  # go on otherwise than they begin,
        mock.patch.object(parquet, "LARGE", 0),  # and are large
    ):
        compare(data, schema, Path(folder), engine)


# --- the real extract ----------------------------------------------------------------------------

REAL = sorted(EXTRACT.glob("*.csv"))


@pytest.mark.skipif(not REAL, reason="the anonymised extract is not beside this repository")
def test_the_real_extract_reads_as_pythons_csv_module_reads_it(
    engine: Engine, tmp_path: Path
) -> None:
    assert len(REAL) == 254
    for path in REAL:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        data = path.read_bytes()
        schema = TableSchema(tuple(map(Column, header)))
        with Table(as_csv(path, tmp_path), schema, **EXPORT, engine=engine) as table:
            records = list(fast(table, set(header)))
            assert table.unknown == table.missing == ()
        assert [[record[name] or "" for name in header] for record in records] == rows
        assert [list(record.values()) for record in records] == split(data)[1:]
        assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))[1:] == rows
