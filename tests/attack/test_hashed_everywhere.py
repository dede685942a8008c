"""Kind 2: a value that is hashed is in no record, rescued cell, sentence, state or file name."""

from __future__ import annotations

import gzip
import io
import json
import re

import openpyxl
import pytest
import yaml
from pyarrow import parquet

from support import hostile, processes
from support.attack import POINTS, STREAMS, csv_bytes, serve_bytes

pytestmark = pytest.mark.kind(2)

ADDRESS = "Zoe.Planted+1@Firm-Example.test"
NAME = "Zoë Plantagenet-Müller"
KEY = "a hash key of the attack suite"
HASHED = {"hash_columns": ["*.email", "*.first_name", "*.last_name", "*.username"], "hash_key": KEY}
PERSONAL = {"hash_personal_data": True, "hash_key": KEY}
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
HEADER = [
    "team_alias", "autodesk_id", "email", "first_name", "last_name", "offering_name",
    "product_name", "role", "account_status",
]  # fmt: skip
ROW = ["North", "A1B2C3D4E5F6", ADDRESS, NAME, NAME, "AutoCAD", "AutoCAD", "User", "Active"]
INSIGHTS = "insights"


@pytest.fixture(autouse=True)
def _planted(lab):
    lab.hashed += [ADDRESS, ADDRESS.lower(), ADDRESS.upper(), NAME, NAME.lower()]


def users(lab, data, kind="text/csv", **config):
    serve_bytes(lab, INSIGHTS, data, kind=kind)
    return lab.run(lab.config(INSIGHTS, **{**HASHED, **config}), streams=["insights_users"])


def with_columns(*more):
    """A file whose rows have these further columns, each name with its cell."""
    names, cells = [name for name, _ in more], [cell for _, cell in more]
    return csv_bytes([HEADER + names, ROW + cells])


COLUMNS = {
    "the name twice": [("email", ADDRESS)],
    "the name three times": [("email", ADDRESS), ("email", ADDRESS.upper())],
    "the name in capitals": [("EMAIL", ADDRESS)],
    "the name in Title Case": [("Email", ADDRESS)],
    "the name with blanks around": [(" email ", ADDRESS)],
    "the name with a tab": [("email\t", ADDRESS)],
    "the name in quotes with a line end": [("email\n", ADDRESS)],
    "two names twice": [("email", ADDRESS), ("first_name", NAME), ("First Name", NAME)],
    "camelCase": [("firstName", NAME), ("lastName", NAME)],
    "the name with a mark of a BOM": [("\ufeffemail", ADDRESS)],
    "the name with a no-break space": [("email\u00a0", ADDRESS)],
    "the name with a zero-width space": [("email\u200b", ADDRESS)],
    "the name inside JSON": [("profile", json.dumps([{"x": [{"eMail": ADDRESS}]}]))],
    "the name inside JSON, escaped": [("profile", f'{{"e\\u006dail": "{ADDRESS}"}}')],
    "the name inside JSON inside JSON": [
        ("profile", json.dumps({"x": json.dumps([{"email": [ADDRESS]}])}))
    ],
}


@pytest.mark.parametrize("setting", ["hash_columns", "hash_personal_data"])
@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.short("the name twice-hash_columns", "the name in capitals-hash_personal_data")
def test_further_columns_of_the_same_name_are_hashed(lab, name, setting):
    """A second column of a hashed column's name, however it is spelled, leaves nothing in clear."""
    given = HASHED if setting == "hash_columns" else {**PERSONAL, "hash_columns": []}
    run = users(lab, with_columns(*COLUMNS[name]), **given)
    run.assert_ok()
    (row,) = run.records("insights_users")
    assert len(row["email"]) == 64


BROKEN = {
    "a row with a cell too many": csv_bytes([HEADER, ROW, [*ROW, ADDRESS]]),
    "a row with cells too few": csv_bytes([HEADER, ROW, ROW[:4]]),
    "a quote that does not end": csv_bytes([HEADER, ROW]) + f'x,y,"{ADDRESS}\n'.encode(),
    "a quote inside a cell": csv_bytes([HEADER, ROW]) + f'x,y,a"{ADDRESS}"b,{NAME}\n'.encode(),
    "bytes that are no UTF-8": csv_bytes([HEADER, ROW])
    + b"\xff\xfe,x,"
    + ADDRESS.encode()
    + b"," * 6
    + b"\n",
    "a NUL": csv_bytes([HEADER, ROW]) + b"a\0b,x," + ADDRESS.encode() + b"," * 6 + b"\n",
    "no header": csv_bytes([ROW, ROW]),
    "a page": f"<html><body>{ADDRESS} {NAME}</body></html>".encode(),
    "JSON in place of a table": json.dumps({"error": f"{ADDRESS} is locked"}).encode(),
    "no line end": csv_bytes([HEADER, ROW])[:-1] + b"," + ADDRESS.encode(),
    "UTF-16": csv_bytes([HEADER, ROW]).decode().encode("utf-16"),
    "semicolons": csv_bytes([HEADER, ROW]).replace(b",", b";"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.short("a quote that does not end")
def test_errors_of_a_file_quote_no_hashed_cell(lab, name):
    """What is wrong with a file is said without its cells."""
    run = users(lab, BROKEN[name])
    assert run.code in {0, 1}


HEAD, FIRST = ",".join(HEADER), ",".join(ROW)
NAMES = "team_alias,first_name,last_name,role"
HEADERS = {
    "a row joined to it": f"{HEAD}{FIRST}\n",
    "a row joined to it, and others": f"{HEAD}{FIRST}\n{FIRST}\n",
    "a row joined to it by a comma": f"{HEAD},{FIRST}\n",
    "a row joined to it, and others as wide": f"{HEAD},{FIRST}\n{FIRST},{FIRST}\n",
    "a row without an address joined to it": f"{NAMES}North,Zoe-Marie,Planted-Bell,User\n",
    "a row of words joined to it, and others as wide": (
        f"{NAMES},North,Zoe-Marie,{NAME},User\n" + ",".join(["North", "a", "b", "User"] * 2) + "\n"
    ),
    "a quote that ends in the next rows": f'{HEAD},"more\n{FIRST}\n{FIRST}"\n',
    "a quote that never ends": f'{HEAD},"more\n{FIRST}\n{FIRST}\n',
    "a vertical tab for its line end": f"{HEAD}\x0b{FIRST}\n",
    "a Unicode line end": f"{HEAD}\u2028{FIRST}\n",
    "tabs, and rows with commas": HEAD.replace(",", "\t") + f"\n{FIRST}\n",
    "bars, and a row joined to it": f"{HEAD}{FIRST}\n".replace(",", "|"),
    "people in place of names": f"{HEAD},{ADDRESS},{NAME}\n{FIRST},1,2\n",
    "a person in place of a name": f"{HEAD},{NAME}\n{FIRST},1\n",
    "an address in a sentence": f"{HEAD},Hours of {ADDRESS}\n{FIRST},1\n",
}


@pytest.mark.parametrize("form", ["CSV", "JSON", "EXCEL"])
@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.short("a row joined to it-CSV", "a person in place of a name-CSV")
def test_what_a_header_holds_in_place_of_names_is_shown_nowhere(lab, name, form):
    """A value that a damaged file has in the place of a column's name leaves nothing in clear."""
    lab.hashed += ["Zoe-Marie", "Planted-Bell", "zoe_planted", "ZOE_PLANTED"]
    data, kind = HEADERS[name].encode(), "text/csv"
    if form != "CSV":
        header, *rows = (line.split(",") for line in HEADERS[name].splitlines())
        if form == "JSON":
            found = [dict(zip(header, row, strict=False)) for row in rows or [[""] * len(header)]]
            data, kind = json.dumps(found).encode(), "application/json"
        else:
            header = [re.sub(r"[\x00-\x1f]", "", cell) for cell in header]
            data = workbook(("Users", [header, *rows]))
            kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    run = users(lab, data, kind, insights_output_format=form)
    assert run.code in {0, 1}


def test_an_error_of_a_key_quotes_no_hashed_cell(lab):
    """Different rows with one key are named without the cells that are hashed."""
    config = lab.config("data_connector", hash_columns=["admin_users.*"], hash_key=KEY)
    header = ["id", "autodesk_id", "bim360_account_id", "email", "name", "status"]
    rows = [[ADDRESS, "A", "B", ADDRESS, NAME, status] for status in ("active", "gone")]
    serve_bytes(lab, "data_connector", csv_bytes([header, *rows]))
    run = lab.run(config, streams=["admin_users"])
    assert run.code in {0, 1}


MISFITS = {
    "a date": ("created_at", ADDRESS),
    "a truth value": ("access_level_account_admin", NAME),
    "an identifier": ("default_role_id", ADDRESS),
    "JSON": ("phone", json.dumps({"number": ADDRESS, "owner": {"email": ADDRESS}})),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_hashed_cell_that_does_not_fit_its_type_is_not_rescued(lab, name):
    """A hashed cell that does not fit its column's type is not kept in `_rescued_data`."""
    column, cell = MISFITS[name]
    columns = ["*.email", "*.name", f"admin_users.{column}"]
    header = ["id", "autodesk_id", "bim360_account_id", "email", "name", column]
    row = ["f695c045-b84c-4304-a163-e04b695f7fb4", "A", "B", ADDRESS, NAME, cell]
    serve_bytes(lab, "data_connector", csv_bytes([header, row]))
    config = lab.config("data_connector", hash_columns=columns, hash_key=KEY)
    run = lab.run(config, streams=["admin_users"])
    run.assert_ok()
    assert len(run.records("admin_users")) == 1


OBJECTS = {
    "a key twice": '{"email": "X", "email": "ADDRESS"}',
    "a key twice, the other way": '{"email": "ADDRESS", "email": null}',
    "a key in capitals": '{"email": "X", "EMAIL": "ADDRESS"}',
    "a key with an escape": '{"email": "X", "em\\u0061il": "ADDRESS"}',
    "a nested object": '{"email": "X", "user": {"email": "ADDRESS"}}',
    "a nested list": '{"email": "X", "users": [{"email": "ADDRESS"}, {"Email": "ADDRESS"}]}',
    "a deeply nested object": '{"email": "X", "a": {"b": {"c": [[{"email": "ADDRESS"}]]}}}',
    "an object in the place of the value": '{"email": {"value": "ADDRESS"}}',
    "a list in the place of the value": '{"email": ["ADDRESS", "ADDRESS"]}',
    "JSON text inside": '{"email": "X", "profile": "{\\"email\\": \\"ADDRESS\\"}"}',
    "camelCase inside": '{"email": "X", "user": {"firstName": "NAME", "lastName": "NAME"}}',
    "a value with escapes": '{"email": "\\u005aoe.Planted\\u002b1@Firm-Example.test"}',
    "a broken object": '{"email": "ADDRESS"',
    "a number after it": '{"email": "ADDRESS", "role": 1e999}',
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.short("a nested object")
def test_keys_of_json_are_hashed_wherever_they_are(lab, name):
    """A hashed name that a JSON export has twice, nested or escaped leaves nothing in clear."""
    text = OBJECTS[name].replace("ADDRESS", ADDRESS).replace("NAME", NAME)
    run = users(lab, f"[{text}]".encode(), kind="application/json", insights_output_format="JSON")
    assert run.code == (1 if name == "a broken object" else run.code)
    assert run.code in {0, 1}


def workbook(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


SHEETS = {
    "the name twice": [("Users", [[*HEADER, "email"], [*ROW, ADDRESS]])],
    "the name in Title Case beside": [("Users", [[*HEADER, "Email"], [*ROW, ADDRESS]])],
    "a sheet that is left aside": [
        ("Users", [HEADER, ROW]),
        (ADDRESS, [["about"], [ADDRESS]]),
    ],
    "a sheet without a known column": [(ADDRESS, [["about"], [ADDRESS]]), (NAME, [[NAME]])],
    "a sheet that is called after a person": [(NAME, [HEADER, ROW])],
    "a title above the header": [("Users", [[f"Made for {ADDRESS}"], HEADER, ROW])],
}


@pytest.mark.parametrize("name", SHEETS)
def test_workbooks_are_hashed_as_well(lab, name):
    """A workbook's second columns and left-over sheets leave nothing in clear."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    data = workbook(*SHEETS[name])
    run = users(lab, data, kind=kind, insights_output_format="EXCEL")
    assert run.code in {0, 1}


def mail_of(text):
    return sorted(set(EMAIL.findall(text)))


EVERYTHING = {
    "hash_personal_data": PERSONAL,
    "hash_personal_data beside hash_columns": {**PERSONAL, "hash_columns": ["*.nothing"]},
    "what the documentation shows": None,
}


def shown():
    """The settings that the page about privacy shows first."""
    text = (processes.ROOT / "docs" / "privacy.md").read_text("utf-8")
    found = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert "hash_key" in found, "the page shows no settings for personal data"
    return {**found, "hash_key": KEY}


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("form", ["RECORD", "BATCH", "Parquet"])
def test_no_address_of_any_stream_is_in_clear(lab, name, form):
    """With `hash_personal_data`, or the documented example, no stream has an address in clear."""
    more = {}
    root = lab.folder / "batches"
    root.mkdir()
    if form != "RECORD":
        encoding = (
            {"format": "jsonl", "compression": "gzip"} if form == "BATCH" else {"format": "parquet"}
        )
        more["batch_config"] = {"encoding": encoding, "storage": {"root": root.as_uri()}}
    run = lab.run(lab.config(**(EVERYTHING[name] or shown()), **more))
    run.assert_ok()
    packed = [gzip.decompress(path.read_bytes()).decode() for path in root.glob("**/*.gz")]
    tables = [str(parquet.read_table(path).to_pylist()) for path in root.glob("**/*.parquet")]
    assert form == "RECORD" or packed or tables
    text = "\n".join([run.raw.decode(), *packed, *tables])
    assert "insights_users" in text
    assert mail_of(text) == []
    assert mail_of(run.stderr) == []
    if "hash_personal_data" in name:
        people = [row for report in run.streams for row in run.records(report)]
        assert not [row for row in people if row.get("autodesk_id") not in {None, "*****"}
                    and len(row["autodesk_id"]) != 64]  # fmt: skip


def test_machine_names_are_personal(lab):
    """`hash_personal_data` covers Token Flex's `machineName`, which carries the user at times."""

    def person(given):
        rows = given.body.decode().splitlines()
        place = rows[0].split(",").index("machineName")
        changed = [rows[0]]
        for row in rows[1:]:
            cells = row.split(",")
            cells[place] = ADDRESS
            changed.append(",".join(cells))
        given.body = ("\n".join(changed) + "\n").encode()

    lab.front.on(POINTS["tokenflex"]["file"], hostile.change(person))
    config = lab.config("tokenflex", **PERSONAL)
    run = lab.run(config, streams=["tokenflex_desktop_sessions"])
    run.assert_ok()
    assert run.records("tokenflex_desktop_sessions")
    assert all(len(row["machineName"]) == 64 for row in run.records("tokenflex_desktop_sessions"))


def test_own_exports_are_personal_as_well(lab):
    """`hash_personal_data` covers the fields of exports that a user makes up."""
    own = {"name": "own", "fields": ["usageDate", "userName", "machineName", "productName"],
           "metrics": ["tokensConsumed"], "usage_category": ["DESKTOP_PRODUCT"]}  # fmt: skip
    config = lab.config("tokenflex", **PERSONAL, tokenflex_exports=[own])
    run = lab.run(config, streams=["tokenflex_own"])
    run.assert_ok()
    assert run.records("tokenflex_own")
    assert mail_of(run.said) == []


LISTS = {
    "contexts, a further field": (
        "GET /insights/v1/contexts",
        "insights_contexts",
        lambda entries: [{**entry, "email": ADDRESS} for entry in entries],
    ),
    "contexts, nested": (
        "GET /insights/v1/contexts",
        "insights_contexts",
        lambda entries: [{**entry, "owner": {"email": ADDRESS}} for entry in entries],
    ),
    "exports, nested": (
        "GET /insights/v1/exports",
        "insights_exports",
        lambda page: {**page, "exports": [
            {"id": "1", "status": "ERROR", "reports": ["USERS"],
             "timestamp": "2026-08-01T00:00:00Z", "outputFormat": "CSV",
             "downloads": [], "requestedBy": [{"Email": ADDRESS}]},
        ], "pagination": {"offset": 0, "limit": 100, "totalResults": 1}},
    ),
    "jobs, in capitals": (
        "GET /data-connector/v1/accounts/*/jobs",
        "data_connector_jobs",
        lambda page: {**page, "results": [{**job, "EMAIL": ADDRESS} for job in page["results"]]},
    ),
    "contracts, a further field": (
        "GET /tokenflex/v1/contract",
        "tokenflex_contracts",
        lambda entries: [{**entry, "contact": {"email": ADDRESS}} for entry in entries],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_hashed_as_well(lab, name):
    """A hashed name in a list that an API answers, also nested, leaves nothing in clear."""
    pattern, stream, change = LISTS[name]
    lab.front.on(pattern, hostile.edit(change))
    api = next(api for api in STREAMS if stream.startswith(api))
    lab.run(lab.config(api, **HASHED), streams=[stream, *STREAMS[api][:1]])


SAID = {
    "403 of Insights": ("insights", "list", 403, {"developerMessage": f"{ADDRESS} is no admin"}),
    "400 to a POST": ("insights", "submit", 400, {"detail": f"User {ADDRESS} is locked"}),
    "500 while polling": ("tokenflex", "poll", 500, {"Message": f"lost: {ADDRESS}"}),
    "404 for a link": ("data_connector", "link", 404, {"detail": f"no file of {ADDRESS}"}),
    "403 of the storage": ("tokenflex", "file", 403, f"<Error><User>{ADDRESS}</User></Error>"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_an_api_says_is_repeated_without_addresses(lab, name):
    """Where `hash_personal_data` is on, an API's own words are repeated without addresses."""
    api, point, status, content = SAID[name]
    body = content if isinstance(content, str) else json.dumps(content)
    lab.front.on(POINTS[api][point], hostile.answer(status, body))
    run = lab.run(lab.config(api, **PERSONAL), streams=STREAMS[api][:1])
    assert run.code in {0, 1}


MAPS = {
    "another name": {"insights_users": {"mail": "email", "_row_id": "_row_id", "__else__": None}},
    "lower case": {"insights_users": {"mail": "email.lower()"}},
    "a key": {"insights_users": {"email": "email", "__key_properties__": ["email"]}},
    "another stream": {"people": {"__source__": "insights_users", "who": "first_name"}},
}


@pytest.mark.parametrize("name", MAPS)
def test_stream_maps_see_hashes_alone(lab, name):
    """A stream map gets the hash, not the value."""
    data = csv_bytes([HEADER, ROW])
    run = users(lab, data, stream_maps=MAPS[name])
    assert run.code in {0, 1}


PATTERNS = {
    "capitals": ["*.EMAIL", "*.FIRST_NAME", "*.Last_Name"],
    "a question mark": ["*.emai?", "*.*_name"],
    "the stream in capitals": ["INSIGHTS_USERS.email", "Insights_Users.*name"],
    "everything": ["*.*"],
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_mean_the_column_whatever_its_case(lab, name):
    """A pattern means its column whatever the case of either."""
    run = users(lab, csv_bytes([HEADER, ROW]), hash_columns=PATTERNS[name])
    run.assert_ok()
    assert len(run.records("insights_users")[0]["email"]) == 64


KEYS = {
    "none": None,
    "empty": "",
    "too short": "shortkey",
}


@pytest.mark.parametrize("setting", ["hash_columns", "hash_personal_data"])
@pytest.mark.parametrize("name", KEYS)
def test_without_a_good_key_nothing_is_loaded(lab, name, setting):
    """Without a usable `hash_key` the run ends with a sentence before anything is loaded."""
    chosen = {"hash_columns": ["*.email"]} if setting == "hash_columns" else {setting: True}
    if KEYS[name]:
        lab.plant(KEYS[name])
    serve_bytes(lab, INSIGHTS, csv_bytes([HEADER, ROW]))
    config = lab.config(INSIGHTS, **chosen, hash_key=KEYS[name])
    run = lab.run(config, streams=["insights_users"])
    run.assert_sentence("hash_key")
    assert run.records("insights_users") == []
