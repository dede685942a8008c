"""Kind 6: what a server sends costs no more memory and disk than limits that say what they are."""

from __future__ import annotations

import gzip
import itertools
import json
import resource
import stat
import zipfile
from pathlib import Path

import pytest

from support import bombs, hostile
from support.attack import (
    APIS,
    COMPANION,
    MEGABYTE,
    POINTS,
    STREAMS,
    TOKEN,
    csv_bytes,
    serve,
    serve_bytes,
)
from support.rescued import opened

pytestmark = [pytest.mark.kind(6), pytest.mark.timeout(600)]

PEAK = 512 * MEGABYTE
INSIGHTS = "insights"
HEADER = ["team_alias", "email", "role"]
ROW = ["North", "a@b.test", "User"]
CSV = csv_bytes([HEADER, ROW])
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
JSON = "application/json"
QUICK = {"request_timeout_seconds": 20, "export_timeout_minutes": 2}


def run(lab, api, streams, within=120, **options):
    """Run it, and check what it held at most; the trial says the rest."""
    config = options.pop("config", {})
    done = lab.run(lab.config(api, **QUICK, **config), streams=streams, within=within,
                   fast_sampling=True, **options)  # fmt: skip
    assert done.peak < PEAK, f"it held {done.peak // MEGABYTE} MB"
    return done


def packed(status, block, times, begin=b"", end=b"", kind=JSON):  # noqa: PLR0913, PLR0917
    """Answer with a body that is packed."""
    return hostile.lazily(
        lambda: hostile.answer(
            status, bombs.gzipped(block, times, begin, end), Content_Encoding="gzip",
            Content_Type=kind,
        )
    )  # fmt: skip


# Answers of the APIs.

STATUSES = (400, 401, 403, 404, 409, 429, 500, 503)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.short("403")
def test_of_an_error_a_little_is_read(lab, status):
    """Of an error's body 64 KB are read, however much is sent."""
    api = APIS[status % 3]
    rule = lab.front.on(
        POINTS[api]["poll"], hostile.flood(b"all is lost " * 5000, status, Retry_After="0")
    )
    done = run(lab, api, STREAMS[api][:1])
    assert rule.sent / max(1, len(rule.met)) < 8 * MEGABYTE
    assert done.code == 1
    done.assert_sentence()


ERRORS = {
    "of the storage": ("file", hostile.flood(b"<Error>" * 9000, 403, Content_Type="text/xml")),
    "of a link": ("link", hostile.flood(b'{"detail": "', 404)),
    "of a POST": ("submit", hostile.flood(b'{"detail": "' * 5000, 500)),
    "packed": (
        "poll",
        packed(400, bytes(MEGABYTE), 2000),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_of_any_error_a_little_is_read(lab, name):
    """Of any error's body a little is read, also of one that is packed."""
    api = APIS[len(name) % 3]
    point, action = ERRORS[name]
    rule = lab.front.on(POINTS[api][point], action)
    done = run(lab, api, STREAMS[api][:1])
    assert rule.sent / max(1, len(rule.met)) < 8 * MEGABYTE
    assert done.code == 1


def test_of_a_refused_sign_in_a_little_is_read(lab):
    """Of a token endpoint's error a little is read."""
    rule = lab.front.on(f"POST {TOKEN}", hostile.flood(b'{"error": "x', 400))
    done = run(lab, INSIGHTS, STREAMS[INSIGHTS][:1], config=lab.with_pat)
    assert rule.sent / max(1, len(rule.met)) < 8 * MEGABYTE
    assert done.code == 1


def test_of_a_token_a_little_is_read(lab):
    """Of a token endpoint's answer no more is read than a token needs."""
    rule = lab.front.on(
        f"POST {TOKEN}", hostile.flood(b" " * 65536, 200, begin=b'{"access_token":')
    )
    done = run(lab, INSIGHTS, STREAMS[INSIGHTS][:1], config=lab.with_pat)
    assert rule.sent / max(1, len(rule.met)) < 80 * MEGABYTE
    assert done.code == 1


ENTRY = {"contextId": "1", "alias": "x" * 50, "reportingBenefits": ["ReportingAPIAccess"]}
ANSWERS = {
    "white space": hostile.flood(b" " * 65536),
    "one text": hostile.flood(b"x" * 65536, begin=b'["'),
    "entries": hostile.flood(json.dumps(ENTRY).encode() + b",", begin=b"["),
    "open brackets": hostile.flood(b"[" * 65536),
    "digits": hostile.flood(b"9" * 65536, begin=b"[1"),
    "a length that is claimed": hostile.flood(b" " * 65536, Content_Length=3 << 30),
    "chunks": hostile.chunked(itertools.repeat(b" " * 65536, 20_000)),
    "packed white space": packed(200, b" " * MEGABYTE, 2000, b"[", b"]"),
    "packed entries": packed(
        200, (json.dumps(ENTRY).encode() + b",") * 5000, 1000, b"[", b"{}]"
    ),
    "packed twice": hostile.lazily(
        lambda: hostile.answer(
            200, bombs.gzipped(bombs.gzipped(b" " * MEGABYTE, 300), 100),
            Content_Encoding="gzip, gzip",
        )
    ),
    "headers": hostile.drip_raw(
        lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"],
                                itertools.repeat(b"X: " + b"y" * 60_000 + b"\r\n", 20_000)), 0
    ),
    "one header": hostile.drip_raw(
        lambda: itertools.chain(
            [b"HTTP/1.1 200 OK\r\nX: "], itertools.repeat(b"y" * 65536, 20_000)
        ), 0
    ),
    "one status line": hostile.drip_raw(
        lambda: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"y" * 65536, 20_000)), 0
    ),
    "trailers": hostile.drip_raw(
        lambda: itertools.chain(
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"],
            itertools.repeat(b"X: " + b"y" * 60_000 + b"\r\n", 20_000),
        ), 0
    ),
    "interim answers": hostile.drip_raw(
        lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, 20_000), 0
    ),
}  # fmt: skip
DROPPED = {"trailers", "interim answers"}
"""Python's own HTTP reads these and drops them at once; the time of a request is their limit."""
ASKED = [
    (name, APIS[n % 3], ("list", "submit", "poll", "link")[n % 4]) for n, name in enumerate(ANSWERS)
]


@pytest.mark.parametrize(
    ("name", "api", "point"), ASKED, ids=[f"{n} for the {p} of {a}" for n, a, p in ASKED]
)
@pytest.mark.short("packed white space for the link of tokenflex")
def test_an_answer_of_an_api_has_a_limit(lab, name, api, point):
    """An API's answer is read up to 64 MB, packed or not, and then a sentence says so."""
    rule = lab.front.on(POINTS[api][point], ANSWERS[name])
    done = run(lab, api, STREAMS[api][:1])
    if name not in DROPPED:
        assert rule.sent / max(1, len(rule.met)) < 80 * MEGABYTE
    done.assert_sentence()


LARGE = {
    "many entries": lambda: b"[" + (json.dumps(ENTRY).encode() + b",") * 400_000 + b"{}]",
    "one long text": lambda: json.dumps([{**ENTRY, "alias": "y" * (50 * MEGABYTE)}]).encode(),
    "many names": lambda: json.dumps([{f"n{n}": n for n in range(1_000_000)}]).encode(),
    "many empty lists": lambda: b"[" + b"[]," * 10_000_000 + b"[]]",
    "many numbers": lambda: json.dumps([{**ENTRY, "numbers": list(range(6_000_000))}]).encode(),
}


@pytest.mark.parametrize("name", LARGE)
def test_an_answer_below_the_limit_is_bounded_as_well(lab, name):
    """An API's answer of just less than the limit holds no more than its memory either."""
    data = LARGE[name]()
    assert len(data) < 64 * MEGABYTE
    lab.front.on("GET /insights/v1/contexts", hostile.answer(200, data))
    done = run(lab, INSIGHTS, ["insights_contexts"])
    if done.code:
        done.assert_sentence()


# Files.


def column_names(count):
    return [f"an_unknown_column_of_the_file_{n}" for n in range(count)]


COLUMNS = {
    "5 000, 100 rows": (5_000, 100),
    "20 000, 10 rows": (20_000, 10),
    "2 000, 2 000 rows": (2_000, 2_000),
    "100 000, one row": (100_000, 1),
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, ("insights", "data_connector")[n % 2]) for n, name in enumerate(COLUMNS)],
)
@pytest.mark.short("5 000, 100 rows-insights")
def test_unknown_columns_are_bounded(lab, name, api):
    """Thousands of columns that nobody knows take less than 400 MB, and none is lost unsaid."""
    count, rows = COLUMNS[name]
    known, row = (HEADER, ROW) if api == INSIGHTS else (["id", "name"], ["1", "x"])
    data = csv_bytes([known + column_names(count), *[row + ["v"] * count] * rows])
    serve_bytes(lab, api, data)
    stream = STREAMS[api][1]
    done = run(lab, api, [stream])
    assert done.peak < 400 * MEGABYTE, f"it held {done.peak // MEGABYTE} MB"
    if done.code:
        done.assert_sentence("column")
    else:
        records = done.records(stream)
        assert len(records) in {1, rows}
        assert len(opened(records[0])["_rescued_data"]) == count


@pytest.mark.parametrize(
    ("size", "form"),
    [
        (60, "CSV"), (60, "CSV, a known name"), (60, "JSON"), (60, "a ZIP"), (16, "CSV"),
        (16, "JSON"), (1, "CSV, a known name"),
    ],
)  # fmt: skip
def test_a_cell_of_the_promised_size_is_loaded(lab, size, form):
    """A cell of up to 64 MB is loaded."""
    text = "x" * (size * MEGABYTE)
    name = "role" if "known" in form else "a_new_column"
    if form == "JSON":
        data = json.dumps([{**dict(zip(HEADER, ROW, strict=True)), name: text}]).encode()
    else:
        rows = [[*HEADER[:2], name], [*ROW[:2], text]]
        data = csv_bytes(rows)
    if form == "a ZIP":
        data = bombs.zipped({"users.csv": data})
    serve_bytes(lab, INSIGHTS, data, kind=JSON if form == "JSON" else "text/csv")
    config = {"insights_output_format": "JSON"} if form == "JSON" else {}
    done = run(lab, INSIGHTS, ["insights_users"], config=config)
    done.assert_ok()
    (record,) = done.records("insights_users")
    got = record["role"] if "known" in form else opened(record)["_rescued_data"][name]
    assert got == text


LINES = {
    "a cell of 200 MB": (b"x" * MEGABYTE, 200, csv_bytes([HEADER]) + b"North,", b",User\n"),
    "a cell of 1 GB in quotes": (b"x" * MEGABYTE, 1024, csv_bytes([HEADER]) + b'North,"', b'",U\n'),
    "a line without an end": (b"a,b,c," * 170_000, 400, csv_bytes([HEADER]), b""),
    "a header without an end": (b"a,b,c," * 170_000, 200, b"", b""),
    "quotes without an end": (b'""' * (MEGABYTE // 2), 300, csv_bytes([HEADER]) + b'North,"', b""),
    "NULs": (bytes(MEGABYTE), 400, csv_bytes([HEADER]), b""),
    "line ends": (b"\n" * MEGABYTE, 400, csv_bytes([HEADER]), b""),
    "commas": (b"," * MEGABYTE, 100, csv_bytes([HEADER]), b"\n"),
}


@pytest.mark.parametrize(
    ("name", "form"), [(name, ("plain", "packed")[n % 2]) for n, name in enumerate(LINES)]
)
def test_lines_without_an_end_are_bounded(lab, name, form):
    """A line, cell or header without an end is bounded, packed or not."""
    block, times, begin, end = LINES[name]
    api = APIS[len(name) % 2]
    if form == "packed":
        action = packed(200, block, times, begin, end, "text/csv")
    else:

        def action(exchange):
            length = len(begin) + len(block) * times + len(end)
            exchange.head(200, Content_Type="text/csv", Content_Length=length)
            exchange.send(begin)
            for _ in range(times):
                exchange.send(block)
            exchange.send(end)

    serve(lab, api, action)
    done = run(lab, api, [STREAMS[api][1 if api == INSIGHTS else 0]], within=240)
    assert done.code in {0, 1}
    if done.code:
        done.assert_sentence()


JSONS = {
    "one object without an end": (b'{"a":' * 100_000, 100, b"[", b""),
    "brackets without an end": (b"[" * MEGABYTE, 200, b"", b""),
    "a text without an end": (b"x" * MEGABYTE, 300, b'[{"email":"', b'"}]'),
    "white space without an end": (b" " * MEGABYTE, 400, b"[", b"]"),
    "a number without an end": (b"9" * MEGABYTE, 100, b'[{"role":', b"}]"),
    "escapes without an end": (b"\\u0041" * 100_000, 300, b'[{"email":"', b'"}]'),
    "one list in a value": (b'{"a":1},' * 100_000, 100, b'[{"role":[', b"{}]}]"),
    "rows of 100 MB": (b'{"email":"a@b.test","role":"User"},' * 30_000, 100, b"[", b"{}]"),
}


@pytest.mark.parametrize("name", JSONS)
def test_json_without_an_end_is_bounded(lab, name):
    """A JSON export that is nested, long or wide without an end is bounded."""
    block, times, begin, end = JSONS[name]
    serve(lab, INSIGHTS, packed(200, block, times, begin, end))
    config = {"insights_output_format": "JSON"}
    done = run(lab, INSIGHTS, ["insights_users"], config=config, within=240)
    assert done.code in {0, 1}
    if done.code:
        done.assert_sentence()


def test_json_rows_with_names_of_their_own_are_bounded(lab):
    """A JSON export in which each row has names of its own is bounded."""
    rows = [{"email": "a@b.test", **{f"n{r}_{c}": r for c in range(20)}} for r in range(1000)]
    serve_bytes(lab, INSIGHTS, json.dumps(rows).encode(), kind=JSON)
    done = run(lab, INSIGHTS, ["insights_users"], config={"insights_output_format": "JSON"})
    if done.code:
        done.assert_sentence("column|name")
    else:
        assert len(done.records("insights_users")) in {1, 1000}


PLACES = ("x.csv", "x.jsonl", "x.jsonl.gz", "x.parquet", "all/", "x.duckdb", "sqlite:///x.db")


@pytest.mark.parametrize(
    ("to", "size"),
    [pytest.param(to, size, id=f"{size} MB into {to}") for size in (16, 40) for to in PLACES],
)
@pytest.mark.short("16 MB into x.jsonl")
def test_a_cell_is_exported_or_named_as_too_large(lab, to, size):
    """A cell of any size is exported, or a sentence says that it takes too much memory."""
    serve_bytes(lab, INSIGHTS, csv_bytes([HEADER, [*ROW[:2], "x" * (size * MEGABYTE)]]))
    arguments = ("export", "insights_users", "--to", to)
    for _ in range(2):  # into what is new, and into what is there
        done = lab.run(
            lab.config(INSIGHTS, **QUICK), *arguments, program=COMPANION, fast_sampling=True
        )
        assert done.peak < PEAK, done.peak // MEGABYTE
        if size == 16:
            done.assert_ok()
        elif done.code:
            done.assert_sentence("lack of memory")


NAMED = dict(zip(HEADER, ROW, strict=True))
NAMES = {
    "a name of its own in each row": lambda: [{**NAMED, f"n{n}": 1} for n in range(100_000)],
    "a name of 10 MB": lambda: [{**NAMED, "y" * (10 * MEGABYTE): 1}],
    "a row of a million names": lambda: [{**NAMED, **{f"n{n}": 1 for n in range(1_000_000)}}],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.short("a name of its own in each row")
def test_names_in_json_are_bounded(lab, name):
    """However many or long the names in a JSON export are, memory and log are bounded."""
    serve_bytes(lab, INSIGHTS, json.dumps(NAMES[name]()).encode(), kind=JSON)
    done = run(lab, INSIGHTS, ["insights_users"], config={"insights_output_format": "JSON"})
    assert len(done.stderr) < MEGABYTE
    if done.code:
        done.assert_sentence("names|memory")


def gzip_of(data, times):
    for _ in range(times):
        data = gzip.compress(data, 1)
    return data


GZIPS = {
    "twice": lambda: gzip_of(CSV, 2),
    "a hundred times": lambda: gzip_of(CSV, 100),
    "twice, of 10 GB": lambda: bombs.gzipped(bombs.gzipped(bytes(MEGABYTE), 1000), 10),
    "around a ZIP, thrice": lambda: gzip_of(bombs.zipped({"users.csv": CSV}), 3),
    "inside and around a ZIP": lambda: bombs.zipped(
        {"users.csv.gz": gzip_of(bombs.zipped({"users.csv": CSV}), 1)}
    ),
    "before other bytes": lambda: gzip_of(CSV, 1) + b"x" * 1000,
    "in a million members": lambda: gzip_of(b"", 1) * 1_000_000 + gzip_of(CSV, 1),
}


@pytest.mark.parametrize("name", GZIPS)
@pytest.mark.short("a hundred times")
def test_what_is_packed_again_and_again_is_bounded(lab, name):
    """A file that is packed in gzip again and again is unpacked once, and is no table."""
    serve_bytes(lab, INSIGHTS, GZIPS[name](), kind="application/gzip")
    done = run(lab, INSIGHTS, ["insights_users"], within=240, measure_disk=True)
    assert done.disk < 200 * MEGABYTE, f"its files took {done.disk // MEGABYTE} MB"
    if "members" in name:
        done.assert_ok()
    else:
        done.assert_sentence("not a table|damaged")


QUOTES = {
    "60 MB of doubled quotes": (b'""', 30 * MEGABYTE),
    "60 MB of line ends": (b"\n", 60 * MEGABYTE),
    "60 MB of commas": (b",", 60 * MEGABYTE),
}


@pytest.mark.parametrize("name", QUOTES)
def test_a_cell_that_is_all_quotes_or_line_ends_is_loaded(lab, name):
    """A quoted cell below the limit is loaded as it is, whatever it is made of."""
    piece, times = QUOTES[name]
    serve_bytes(lab, INSIGHTS, csv_bytes([HEADER]) + b'North,"' + piece * times + b'",User\n')
    done = run(lab, INSIGHTS, ["insights_users"])
    done.assert_ok()
    (record,) = done.records("insights_users")
    assert record["email"] == piece.decode().replace('""', '"') * times


# Files of the person who runs it.

SPACE = b" " * (100 * MEGABYTE)
OWN = {
    "white space": lambda begin: begin[:-1] + SPACE + b"}",
    "brackets": lambda _: b"[" * (100 * MEGABYTE),
    "a text": lambda begin: begin[:-1] + b', "x": "' + SPACE + b'"}',
    "numbers": lambda begin: begin[:-1] + b', "x": [' + b"1," * (50 * MEGABYTE) + b"1]}",
    "a device": None,
}
FILES = ("config", "state", "catalog")


@pytest.mark.parametrize(
    ("name", "file"),
    [pytest.param(name, file, id=f"{name} as {file}") for name in OWN for file in FILES],
)
@pytest.mark.short("white space as state", "a device as catalog")
def test_a_settings_state_or_catalog_file_is_bounded(lab, name, file):
    """A settings, state or catalog file of 100 MB, or without an end, is refused in a sentence."""
    begin = {"config": {}, "state": {"bookmarks": {}}, "catalog": {"streams": []}}[file]
    path = Path("/dev/zero")
    if make := OWN[name]:
        path = lab.folder / "large.json"
        path.write_bytes(make(json.dumps(begin).encode().replace(b"{}", b'{"a": 1}')))
    config = None if file == "config" else lab.config(INSIGHTS)
    done = lab.run(config, f"--{file}", str(path))
    done.assert_sentence("more than 420 MB of memory")
    assert done.peak < PEAK, f"it held {done.peak // MEGABYTE} MB"


# Workbooks.

BLANK_ROW = b'<row><c t="inlineStr"><is><t></t></is></c></row>' * 20_000
FAR = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row>'
ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
STRINGS = (
    b'<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
)
BOOKS = {
    "a cell at its far end": lambda: bombs.workbook(HEADER, rows=FAR),
    "a cell in its last column": lambda: bombs.workbook(
        HEADER, rows='<row r="2"><c r="XFD2" t="inlineStr"><is><t>x</t></is></c></row>'
    ),
    "a cell in its last row": lambda: bombs.workbook(
        HEADER, rows='<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>x</t></is></c></row>'
    ),
    "a cell beyond its end": lambda: bombs.workbook(
        HEADER,
        rows='<row r="4294967295"><c r="ZZZZZ4294967295" t="inlineStr"><is><t>x</t></is></c></row>',
    ),
    "an extent that is claimed": lambda: bombs.workbook(HEADER, dimension="A1:XFD1048576"),
    "an extent that is none": lambda: bombs.workbook(HEADER, dimension="A0:ZZZZZZZ99999999999"),
    "rows of 2 GB": lambda: bombs.workbook(HEADER, huge=(BLANK_ROW, 2000, b"")),
    "a cell of 1 GB": lambda: bombs.workbook(
        HEADER,
        rows='<row r="2"><c t="inlineStr"><is><t>',
        huge=(b"x" * MEGABYTE, 1000, b"</t></is></c></row>"),
    ),
    "blanks of 2 GB": lambda: bombs.workbook(HEADER, huge=(b" " * MEGABYTE, 2000, b"")),
    "a comment of 2 GB": lambda: bombs.workbook(
        HEADER, rows="<!--", huge=(b"x" * MEGABYTE, 2000, b"-->")
    ),
    "shared strings of 1 GB": lambda: bombs.workbook(
        HEADER, strings=(b"<si><t>y</t></si>" * 60_000, 1000, STRINGS, b"</sst>")
    ),
    "one shared string of 1 GB": lambda: bombs.workbook(
        HEADER, strings=(b"y" * MEGABYTE, 1000, STRINGS + b"<si><t>", b"</t></si></sst>")
    ),
    "a count of strings that is claimed": lambda: bombs.workbook(
        HEADER, strings=(b"", 0, STRINGS[:-1] + b' count="4000000000" uniqueCount="4000000000">',
                         b"<si><t>y</t></si></sst>"),
    ),
    "entities that multiply": lambda: bombs.workbook([*HEADER, "&j;"], prologue=ENTITIES),
    "an entity from outside": lambda: bombs.workbook([*HEADER, "&a;"], prologue=OUTSIDE),
    "elements that are nested": lambda: bombs.workbook(
        HEADER, huge=(b"<x>" * 300_000, 100, b"")
    ),
    "ten thousand sheets": lambda: bombs.workbook(HEADER, sheets=10_000),
    "a picture of 3 GB": lambda: bombs.workbook(
        HEADER, rows=bombs.inline(ROW, 2), extra={"xl/media/image1.png": bytes(300 * MEGABYTE)}
    ),
    "a million members": lambda: bombs.zip_of_entries(1_000_000),
    "no workbook inside": lambda: bombs.zipped({"readme.txt": b"hello"}),
    "a workbook inside": lambda: bombs.zipped({"x.xlsx": bombs.workbook(HEADER)}),
    "half a workbook": lambda: bombs.workbook(HEADER)[:400],
    "an old workbook that is none": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(10_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.short("a cell at its far end")
def test_a_workbook_is_bounded(lab, name):
    """A workbook that unpacks to far more than it weighs is bounded, and ends no process."""
    serve_bytes(lab, INSIGHTS, BOOKS[name](), kind=EXCEL)
    config = {"insights_output_format": "EXCEL"}
    done = run(lab, INSIGHTS, ["insights_users"], config=config, within=240, measure_disk=True)
    assert done.code in {0, 1}
    if done.code:
        done.assert_sentence()
    assert "root:" not in done.said
    assert done.disk < 1024 * MEGABYTE, f"its files took {done.disk // MEGABYTE} MB"


def test_a_bad_workbook_costs_no_other_stream(lab):
    """A workbook that cannot be read fails its own stream alone."""
    lab.front.on("GET /storage/insights/*users*", hostile.answer(200, BOOKS["rows of 2 GB"]()))
    config = {"insights_output_format": "EXCEL"}
    done = run(lab, INSIGHTS, ["insights_users", "insights_usage"], config=config, within=240)
    assert done.records("insights_usage")


# ZIPs.


def one_member(name, size, claimed=None):
    packed, crc = bombs.deflated(bytes(MEGABYTE), size // MEGABYTE)
    return bombs.zip_of(name, packed, crc, size, claimed=claimed)


def unix_link():
    info = zipfile.ZipInfo("users.csv")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def linked():
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(unix_link(), "/etc/passwd")
    return out.getvalue()


def named(name):
    return lambda: bombs.zipped({name: CSV})


ZIPS = {
    "a million members": lambda: bombs.zip_of_entries(1_000_000),
    "a hundred thousand tables": lambda: bombs.zip_of_entries(100_000, CSV),
    "a member of 2 GB of NULs": lambda: one_member("users.csv", 2 << 30),
    "a member that claims less": lambda: one_member("users.csv", 2 << 30, claimed=100),
    "a member that claims more": lambda: one_member("users.csv", MEGABYTE, claimed=0xFFFFFFFF),
    "members that overlap": lambda: bombs.overlapping_zip(1000, 1 << 30),
    "a ZIP in a ZIP in a ZIP": lambda: bombs.zipped(
        {"a.zip": bombs.zipped({"b.zip": bombs.zipped({"users.csv": CSV})})}
    ),
    "a path upwards": named("../../users.csv"),
    "an absolute path": named("/tmp/users.csv"),  # noqa: S108
    "a path of Windows": named("..\\..\\users.csv"),
    "a drive": named("C:\\users.csv"),
    "a long name": named("u" * 60_000 + ".csv"),
    "a link": linked,
    "a comment of 64 KB": lambda: (
        CSV and bombs.zipped({"users.csv": CSV})[:-2] + b"\xff\xff" + bytes(65535)
    ),
    "no end": lambda: bombs.zipped({"users.csv": CSV})[:-10],
    "bytes in front": lambda: bytes(100_000) + bombs.zipped({"users.csv": CSV}),
    "LZMA": lambda: bombs.zipped({"users.csv": CSV * 10}, zipfile.ZIP_LZMA),
    "BZIP2": lambda: bombs.zipped({"users.csv": CSV * 10}, zipfile.ZIP_BZIP2),
    "an empty ZIP": lambda: bombs.zipped({}),
    "a method that nobody knows": lambda: bombs.zipped({"users.csv": CSV}).replace(
        b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x61\0"
    ),
    "an encrypted member": lambda: bombs.zipped({"users.csv": CSV}).replace(
        b"\x14\0\0\0\x08\0", b"\x14\0\1\0\x08\0"
    ),
}


@pytest.mark.parametrize("name", ZIPS)
@pytest.mark.short("a path upwards")
def test_a_zip_is_bounded(lab, name):
    """A ZIP with a million members, or with one that unpacks without an end, is bounded."""
    serve_bytes(lab, INSIGHTS, ZIPS[name](), kind="application/zip")
    outside = lab.folder / "users.csv"
    done = run(lab, INSIGHTS, ["insights_users"], within=240, measure_disk=True)
    assert done.code in {0, 1}
    if done.code:
        done.assert_sentence()
    assert not outside.exists()
    assert "root:" not in done.said
    limit = 2600 if "2 GB" in name else 1024
    assert done.disk < limit * MEGABYTE, f"its files took {done.disk // MEGABYTE} MB"


EXTRACTS = {
    "a million members": lambda: bombs.zip_of_entries(1_000_000),
    "members that overlap": lambda: bombs.overlapping_zip(1000, 1 << 30),
    "a member that claims less": lambda: one_member("admin_users.csv", 2 << 30, claimed=100),
    "a member of 2 GB": lambda: one_member("admin_users.csv", 2 << 30),
    "a path upwards": lambda: bombs.zipped({"../admin_users.csv": b"id,name\n1,x\n"}),
    "nothing": lambda: bombs.zipped({}),
}


@pytest.mark.parametrize("name", EXTRACTS)
def test_the_zip_of_an_extract_is_bounded(lab, name):
    """The ZIP of an extract costs no more than its listing says, and its tables are loaded."""
    data = EXTRACTS[name]()
    api = "data_connector"
    groups = {"data_connector_service_groups": ["admin", "issues"]}

    # A ZIP that weighs much more than the tables is not asked for, unless its size is not listed.
    size = len(data) if len(data) < 10 * MEGABYTE else None

    def sizes(files):
        return [{**f, "size": size} if f["name"].endswith(".zip") else f for f in files]

    lab.front.on("GET /data-connector/v1/accounts/*/data-listing", hostile.edit(sizes))
    link = "GET /data-connector/v1/accounts/*/data/*.zip"
    lab.front.on(link, hostile.edit(lambda given: {**given, "size": len(data)}))
    rule = lab.front.on("GET /storage/data_connector/*.zip", hostile.answer(200, data))
    done = run(lab, api, None, config={**groups}, within=240, measure_disk=True)
    assert rule.met, "the ZIP was not asked for"
    assert done.code in {0, 1}
    assert done.records("admin_projects")
    assert done.disk < 1024 * MEGABYTE, f"its files took {done.disk // MEGABYTE} MB"


# The machine.

LIMITED = {
    "Insights": {"apis": ["insights"]},
    "Insights as workbooks": {"apis": ["insights"], "insights_output_format": "EXCEL"},
    "Insights as JSON": {"apis": ["insights"], "insights_output_format": "JSON"},
    "Token Flex": {"apis": ["tokenflex"]},
    "Data Connector": {"apis": ["data_connector"], "data_connector_service_groups": None},
    "all of them": {"data_connector_service_groups": None},
    "all of them in batches of Parquet": {
        "data_connector_service_groups": None,
        "batch_config": {"encoding": {"format": "parquet"}, "storage": {"root": "ROOT"}},
    },
    "all of them in batches of JSON lines": {
        "data_connector_service_groups": None,
        "batch_config": {"encoding": {"format": "jsonl", "compression": "gzip"},
                         "storage": {"root": "ROOT"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_a_gigabyte_of_address_space_is_enough(lab, name):
    """Under a limit of 1 GB of address space a run of all streams ends well."""
    root = lab.folder / "batches"
    root.mkdir()
    config = json.loads(json.dumps(LIMITED[name]).replace("ROOT", root.as_uri()))
    limits = {resource.RLIMIT_AS: 1 << 30}
    done = lab.run(lab.config(**config), limits=limits, within=400)
    assert done.peak < PEAK, f"it held {done.peak // MEGABYTE} MB"
    done.assert_ok()
    assert len(done.streams) > 4


@pytest.mark.parametrize("megabytes", [150, 250, 350, 500])
def test_too_little_address_space_is_a_sentence(lab, megabytes):
    """Under a limit that is too small the run ends in a sentence, not in a crash."""
    limits = {resource.RLIMIT_AS: megabytes * MEGABYTE}
    done = lab.begin(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], limits=limits, pace=1)
    ended = done.end(checked=False)
    assert ended.code != -9, "it did not end"
    if megabytes >= 500:  # with less, code of a library that is not Python may end the process
        lab.check(ended, done, False)  # noqa: FBT003


@pytest.mark.parametrize("count", [12, 20, 40])
def test_too_few_open_files_are_a_sentence(lab, count):
    """Under a limit of open files that is too small the run ends well, or in a sentence."""
    limits = {resource.RLIMIT_NOFILE: count}
    done = lab.run(
        lab.config(), limits=limits, streams=[n for a in APIS for n in STREAMS[a]], pace=1
    )
    assert done.code in {0, 1}
    if done.code:
        done.assert_sentence()
