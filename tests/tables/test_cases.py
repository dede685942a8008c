"""Situations of public reports and documents, with their right outcome."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from support.rescued import opened
from tap_autodesk_exports.files.combine import combine
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import Column, Encoding, Engine, Table, TableSchema, Type
from tap_autodesk_exports.tables.spelling import any_spelling, snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Open = Callable[..., Table]


@pytest.fixture
def open_table(tmp_path: Path) -> Iterator[Open]:
    """`open_table(text, columns, **more)`: a table over a file with that text."""
    tables = []
    engine = Engine(tmp_path)

    def opened_table(text: str | Path, columns: dict[str, Type], **more: object) -> Table:
        path = tmp_path / f"{len(tables)}.csv" if isinstance(text, str) else text
        if isinstance(text, str):
            path.write_text(text)
        schema = TableSchema(tuple(Column(*each) for each in columns.items()), **more)  # type: ignore[arg-type]
        tables.append(Table(path, schema, export_id="e", exported_at="2026-01-01", engine=engine))
        return tables[-1]

    yield opened_table
    for table in tables:
        table.close()
    engine.close()


def records(table: Table) -> list[dict]:
    return [opened(record) for record in table.records({column.name for column in table.columns})]


# --- numbers -------------------------------------------------------------------------------------

CONSUMPTION = {
    "usageDate": Type.DATE,
    "contractYear": Type.NUMBER,
    "userName": Type.STRING,
    "tokensConsumed": Type.NUMBER,
}
SPELLINGS = {
    "60.00": True, "1,234.50": False, "1.234,50": False, "6,6": False, "(12.5)": False,
    "+5": False, " 60 ": False, "1e3": True, "-0.5": True, "$5": False, "5 %": False,
    "1 234": False, "१२": False,
}  # fmt: skip


def test_number_spellings_load_as_numbers_or_are_kept_beside_the_row(open_table: Open) -> None:
    rows = "".join(f'2026-01-02,1,u,"{text}"\n' for text in SPELLINGS)
    table = open_table("usageDate,contractYear,userName,tokensConsumed\n" + rows, CONSUMPTION)
    found = records(table)
    for (text, fits), record in zip(SPELLINGS.items(), found, strict=True):
        kept = record["_rescued_data"]
        assert (str(record["tokensConsumed"]), kept) == (
            (text.upper() if text == "1e3" else text, None)
            if fits
            else ("None", {"tokensConsumed": text})
        ) or (text == "1e3" and record["tokensConsumed"] == 1000)
    assert table.unfitting() == {}


def test_a_column_none_of_whose_cells_fits_is_named_with_a_shape_and_no_value(
    open_table: Open,
) -> None:
    rows = "".join(f"2026-01-0{at},Year {at},Ann,{at}\n" for at in range(1, 4))
    table = open_table(
        "usageDate,contractYear,userName,tokensConsumed\n" + rows + "2026-01-04,,Bo,\n", CONSUMPTION
    )
    assert table.unfitting() == {"contractYear": "Aaaa 9"}
    assert [record["_rescued_data"] for record in records(table)] == [
        {"contractYear": "Year 1"},
        {"contractYear": "Year 2"},
        {"contractYear": "Year 3"},
        None,
    ]


@pytest.mark.parametrize("encoding", [Encoding.JSONL, Encoding.PARQUET])
def test_it_can_be_asked_before_and_after_the_rows_were_sent(
    open_table: Open, tmp_path: Path, encoding: Encoding
) -> None:
    for rows, expected in (("a,1\n", {}), ("a,x\n", {"n": "a"})):
        table = open_table("id,n\n" + rows, {"id": Type.STRING, "n": Type.NUMBER})
        assert table.unfitting() == expected
        create = lambda number: (tmp_path / f"b{number}").open("wb")  # noqa: E731
        list(table.batches(create, {"id", "n"}, encoding=encoding, rows_per_file=9))
        assert table.unfitting() == expected


def test_one_cell_that_fits_far_behind_is_enough(open_table: Open) -> None:
    rows = "a,x\n" * 20_000 + "a,1\n"
    table = open_table("id,n\n" + rows, {"id": Type.STRING, "n": Type.NUMBER})
    assert table.unfitting() == {}


def test_the_shape_of_a_hashed_column_is_not_shown(open_table: Open) -> None:
    from tap_autodesk_exports.tables.hashing import Hashing

    hashing = Hashing(lambda name: name == "n", b"key")
    table = open_table("id,n\na,secret\n", {"id": Type.STRING, "n": Type.NUMBER}, hashing=hashing)
    assert table.unfitting() == {"n": ""}


def test_codes_and_large_numbers_keep_their_digits(open_table: Open) -> None:
    columns = {"id": Type.INTEGER, "code": Type.NUMBER, "text": Type.STRING}
    table = open_table(
        'id,code,text\n9007199254740993,01000,01000\n1,"1,000.50",x\n1.0,1.50,y\n'
        "9223372036854775808,12345678901234567890123,z\n-9223372036854775808,-0,z\n",
        columns,
    )
    found = [(r["id"], str(r["code"]), r["text"], r["_rescued_data"]) for r in records(table)]
    assert found == [
        (9007199254740993, "None", "01000", {"code": "01000"}),
        (1, "None", "x", {"code": "1,000.50"}),
        (None, "1.50", "y", {"id": "1.0"}),
        (None, "12345678901234567890123", "z", {"id": "9223372036854775808"}),
        (-9223372036854775808, "-0", "z", None),
    ]


# --- other types ---------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [Type.TIME, Type.TIME_TEXT])
def test_eight_spellings_of_an_hour(open_table: Open, type_: Type) -> None:
    hours = ["06:00:00", "06:15", "6", "6:00", "06:30:00.5", "1970-01-01 07:00:00", "8 AM",
             "24:00:00"]  # fmt: skip
    table = open_table(
        "id,hour\n" + "".join(f"1,{hour}\n" for hour in hours),
        {"id": Type.STRING, "hour": type_},
    )
    found = [record["hour"] or record["_rescued_data"] for record in records(table)]
    assert found == [
        "06:00:00",
        "06:15:00",
        {"hour": "6"},
        {"hour": "6:00"},
        "06:30:00.5",
        {"hour": "1970-01-01 07:00:00"},
        {"hour": "8 AM"},
        {"hour": "24:00:00"},
    ]


def test_a_uuid_that_became_something_longer_is_kept_beside_the_row(open_table: Open) -> None:
    urn = "urn:adsk.wipprod:fs.file:vf.AbC?version=2"
    uuid = "c0000000-0000-4000-8000-000000000003"
    table = open_table(
        f"id,version\n{uuid},{urn}\n{uuid.upper()},{'é' * 18}\n,{'é' * 19}\n",
        {"id": Type.UUID, "version": Type.UUID},
    )
    found = [(r["id"], r["version"], r["_rescued_data"]) for r in records(table)]
    assert found == [
        (uuid, None, {"version": urn}),
        (uuid.upper(), "é" * 18, None),
        (None, None, {"version": "é" * 19}),
    ]


# --- headers and files ---------------------------------------------------------------------------

SUBSCRIPTIONS = {
    "team_alias": Type.STRING,
    "contract_number": Type.STRING,
    "start_date": Type.TIMESTAMP,
    "seat_quantity": Type.NUMBER,
}
HEADERS = [
    ["team_alias", "contract_number", "start_date", "seat_quantity"],
    ["teamAlias", "contractNumber", "startDate", "seatQuantity"],
    ["Team Alias", "Contract Number", "Start Date", "Seat Quantity"],
    ["TEAM_ALIAS", "CONTRACT_NUMBER", "START_DATE", "SEAT_QUANTITY"],
    ["TeamAlias", "ContractNumber", "StartDate", "SeatQuantity"],
    ["team-alias", " contract number ", "startdate", "SEATQUANTITY"],
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[0])
@pytest.mark.parametrize("json_list", [False, True])
def test_headers_in_another_spelling_give_the_same_columns(
    open_table: Open, tmp_path: Path, header: list[str], *, json_list: bool
) -> None:
    cells = ['Rée, "A"', "110001234567", "2022-03-02 00:00", "9"]
    path = tmp_path / "export.json"
    if json_list:
        path.write_text(json.dumps([dict(zip(header, cells, strict=True))]))
        path = as_csv(path, tmp_path, json=True)
    else:
        quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
        path.write_text(",".join(header) + "\n" + ",".join(quoted) + "\n")
    table = open_table(path, SUBSCRIPTIONS, rename=any_spelling(SUBSCRIPTIONS))
    assert (table.unknown, table.missing) == ((), ())
    (record,) = records(table)
    assert [record[name] for name in SUBSCRIPTIONS] == [
        'Rée, "A"',
        "110001234567",
        "2022-03-02T00:00:00.000000Z",
        9,
    ]


def test_a_name_is_found_in_any_spelling_unless_two_columns_share_it() -> None:
    rename = any_spelling(["user_name", "userName", "chargedItemID", "group"])
    assert rename("USER NAME") == "USER NAME"
    assert rename("userName") == "userName"
    assert rename("charged_item_id") == "chargedItemID"
    assert rename("Group") == "group"
    assert rename("new") == "new"
    names = ["teamAlias", "Team Alias", "HTTPServer2", "chargedItemID", "e-mail", "été"]
    assert list(map(snake_case, names)) == [
        "team_alias", "team_alias", "http_server_2", "charged_item_id", "e_mail", "été",
    ]  # fmt: skip


def test_a_file_in_words_is_refused_with_a_sentence(open_table: Open) -> None:
    with pytest.raises(FileError, match=r"holds words in place of a table: 'No data .*new export"):
        open_table("No data available for the selected criteria\n", CONSUMPTION)


def test_two_downloads_of_one_report_are_one_table(open_table: Open, tmp_path: Path) -> None:
    columns = {"option": Type.STRING, "id": Type.STRING, "tokens": Type.NUMBER}
    paths = [tmp_path / "download_0.csv", tmp_path / "download_1.csv"]
    paths[0].write_text("option,id,tokens\n" + "".join(f"Seat,{at},\n" for at in range(10)))
    paths[1].write_text("tokens,option,id\n" + "".join(f"7,Flex,{at}\n" for at in range(4)))
    whole = combine(paths, tmp_path / "all.csv", any_spelling(columns))
    found = records(open_table(whole, columns, key=("option", "id")))
    assert len(found) == len({record["_row_id"] for record in found}) == 14
    assert [record["tokens"] for record in found] == [None] * 10 + [7] * 4


# --- ids -----------------------------------------------------------------------------------------

REPORT = {
    "user": Type.STRING,
    "team": Type.STRING,
    "offering": Type.STRING,
    "option": Type.STRING,
    "days_used": Type.NUMBER,
}
ROWS = ["u,T,AEC,Subscription,7\n", "u,T,AEC,Flex,4\n", "u,T,AEC,,1\n", "u,T,AEC,,2\n"]


def ids(table: Table) -> dict[tuple, str]:
    return {
        (record["team"], record["option"], record["days_used"]): record["_row_id"]
        for record in table.records({*REPORT, "_row_id"})
    }


def test_ids_do_not_depend_on_the_order_of_rows(open_table: Open) -> None:
    header = ",".join(REPORT) + "\n"
    found = [
        ids(open_table(header + "".join(rows), REPORT, key=("user", "offering")))
        for rows in itertools.permutations(ROWS)
    ]
    assert all(each == found[0] for each in found)
    assert len(set(found[0].values())) == len(ROWS)


def test_a_row_keeps_its_id_when_another_one_of_its_key_is_gone(open_table: Open) -> None:
    header = ",".join(REPORT) + "\n"
    key = ("user", "offering", "option")
    before = ids(open_table(header + ROWS[0] + ROWS[1], REPORT, key=key))
    seat = ROWS[0].replace(",7", ",8")
    after = ids(open_table(header + seat, REPORT, key=key))
    assert after["T", "Subscription", 8] == before["T", "Subscription", 7]


def test_a_label_that_is_no_part_of_the_key_may_change(open_table: Open) -> None:
    header = ",".join(REPORT) + "\n"
    key = ("user", "offering", "option")
    old = ids(open_table(header + "".join(ROWS), REPORT, key=key))
    new = ids(open_table(header + "".join(ROWS).replace(",T,", ",New name,"), REPORT, key=key))
    assert [*old.values()] == [*new.values()]


def test_a_measure_that_changes_leaves_rows_in_their_order(open_table: Open) -> None:
    header = ",".join(REPORT) + "\n"
    key = ("user", "offering")
    rows = ROWS[:2]
    old = ids(open_table(header + "".join(rows), REPORT, key=key))
    grown = [row.replace(",7", ",70").replace(",4", ",1") for row in rows]
    new = ids(open_table(header + "".join(grown), REPORT, key=key))
    assert [*old.values()] == [*new.values()]
