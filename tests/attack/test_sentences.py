"""Kind 9: whatever is wrong is said in a sentence: what failed, where, and what to do."""

from __future__ import annotations

import json
import os
import socket

import pytest

from support import hostile
from support.attack import APIS, COMPANION, POINTS, STREAMS, TOKEN, csv_bytes, serve_bytes

pytestmark = pytest.mark.kind(9)

INSIGHTS = "insights"
QUICK = {"request_timeout_seconds": 2, "export_timeout_minutes": 0.2}

# Statuses and headers.

WAITS = {
    "text": "soon", "empty": "", "blank": "  ", "negative": "-5", "a fraction": "0.5",
    "an exponent": "1e99", "infinite": "inf", "no number": "nan", "many digits": "9" * 400,
    "digits of another script": "\u0663", "a date that is past": "Thu, 01 Jan 1970 00:00:00 GMT",
    "a date that is none": "Thu, 99 Foo 20266 00:00:00 GMT", "a date of the year 10000":
    "Fri, 31 Dec 99999 23:59:59 GMT", "two numbers": "1, 2", "a number in quotes": '"1"',
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status"), [(name, (429, 503)[n % 2]) for n, name in enumerate(WAITS)]
)
def test_an_absurd_retry_after_is_survived(lab, name, status):
    """A `Retry-After` that makes no sense is survived: the request is tried again."""
    point = POINTS[APIS[len(name) % 3]]["poll"]
    wait = WAITS[name]
    data = f"HTTP/1.1 {status} x\r\nRetry-After: {wait}\r\nContent-Length: 2\r\n\r\n{{}}"
    lab.front.on(point, hostile.raw(data.encode()), times=1)
    api = APIS[len(name) % 3]
    run = lab.run(lab.config(api, export_timeout_minutes=0.5), streams=STREAMS[api][:1], pace=0.001)
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence("wait|again|limit|later|Retry-After")
    else:
        assert run.records(STREAMS[api][0]) is not None


STATUSES = (201, 202, 204, 206, 300, 304, 402, 405, 408, 410, 413, 415, 418, 422, 451, 501, 505,
            511, 600, 999)  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
def test_a_post_that_is_answered_oddly_is_a_sentence(lab, status):
    """A POST that is answered by a status that no document names ends in a sentence."""
    api = APIS[status % 3]
    lab.front.on(POINTS[api]["submit"], hostile.answer(status, b""))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1])
    run.assert_sentence(f"{status}|answered")


@pytest.mark.parametrize(
    ("status", "point"), [(s, ("list", "poll")[n % 2]) for n, s in enumerate(STATUSES[::2])]
)
def test_a_get_that_is_answered_oddly_is_a_sentence(lab, status, point):
    """A GET that is answered by a status that no document names ends in a sentence."""
    api = APIS[(status + len(point)) % 3]
    lab.front.on(POINTS[api][point], hostile.answer(status, b""))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1])
    run.assert_sentence(f"{status}|answered")


# Answers of another shape.

GONE = object()
WRONG = {
    "missing": GONE, "null": None, "a number": 7, "a list": ["x"], "an object": {"x": 1},
    "empty": "", "true": True,
}  # fmt: skip


def spoiled(content, name, value):
    """Change each field of a name, wherever it is."""
    if isinstance(content, list):
        return [spoiled(entry, name, value) for entry in content]
    if not isinstance(content, dict):
        return content
    return {
        key: value if key == name else spoiled(entry, name, value)
        for key, entry in content.items()
        if not (key == name and value is GONE)
    }


FIELDS = {
    "insights": {
        "GET /insights/v1/exports": ("exports", "pagination", "id", "status", "reports"),
        "POST /insights/v1/exports": ("id", "status"),
        "GET /insights/v1/exports/*": ("status", "downloads", "downloadURL", "type", "id"),
        "GET /insights/v1/contexts": ("contextId", "reportingBenefits", "alias"),
    },
    "tokenflex": {
        "GET /tokenflex/v1/contract": ("contractNumber", "isActive", "contractEndDate",
                                       "contractStartDate"),
        "GET /tokenflex/v1/contract/*": ("contractYears", "startDate"),
        "POST /tokenflex/v1/export/*/requests": ("requestKey", "requestStatus"),
        "GET /tokenflex/v1/export/*/requests/*": ("requestStatus", "downloadUrl"),
        "POST /tokenflex/v1/export/*/refreshUrl": ("downloadUrl", "downloadUrlExpireDate"),
        "GET /tokenflex/v1/usage/*/last": ("usageCategory", "lastProcessDate"),
    },
    "data_connector": {
        "GET /data-connector/v1/accounts/*/requests": ("results", "id", "serviceGroups"),
        "POST /data-connector/v1/accounts/*/requests": ("id", "createdAt"),
        "GET /data-connector/v1/accounts/*/jobs": ("results", "id", "status", "completionStatus",
                                                   "requestId", "createdAt", "completedAt"),
        "GET /data-connector/v1/accounts/*/data-listing": ("name", "size", "createdAt"),
        "GET /data-connector/v1/accounts/*/data/*": ("signedUrl", "name", "size"),
    },
}  # fmt: skip
SHAPES = [
    (api, point, field, list(WRONG)[(n + turn * 3) % len(WRONG)])
    for api in APIS
    for n, (point, field) in enumerate(
        (point, field) for point, fields in FIELDS[api].items() for field in fields
    )
    for turn in range(2)
]


@pytest.mark.parametrize(
    ("api", "point", "field", "name"),
    SHAPES,
    ids=[f"{field} of {point} {name}" for _, point, field, name in SHAPES],
)
@pytest.mark.short("downloadURL of GET /insights/v1/exports/* empty")
def test_a_field_that_is_missing_or_of_another_kind_is_a_sentence(lab, api, point, field, name):
    """A field that is missing, null or of another kind ends in a sentence, or does no harm."""
    lab.front.on(point, hostile.edit(lambda content: spoiled(content, field, WRONG[name])))
    scope = {"insights_export_scope": "per_team"} if "contexts" in point else {}
    config = lab.config(api, **QUICK, **scope)
    other = "tokenflex" if api == "insights" else "insights"
    config["apis"] = [api, other]
    run = lab.run(config, streams=[*STREAMS[api], STREAMS[other][1]])
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence()
    assert run.records(STREAMS[other][1]), "the other API was not loaded"


BODIES = {
    "null": b"null", "a number": b"5", "text": b'"x"', "true": b"true", "an object": b"{}",
    "a list": b"[]", "a list of null": b"[null]", "a list of lists": b"[[]]", "nothing": b"",
    "half of it": b'{"id": "x', "a BOM": b"\xef\xbb\xbf[]", "no UTF-8": b'["\xff\xfe"]',
    "UTF-16": "[]".encode("utf-16"), "two values": b"[][]", "a deep list": b"[" * 200_000,
    "a deep object": b'{"a":' * 100_000, "NaN": b"[NaN]", "a lone surrogate": b'["\\ud800"]',
    "a number of many digits": b"[" + b"9" * 10_000 + b"]", "a NUL": b"\0", "XML": b"<a/>",
    "a name twice": b'{"exports": [], "exports": null}', "a comment": b"// x\n[]",
    "an exponent beyond all": b'[{"contextId": 1e999999}]',
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "api", "point"),
    [
        (name, APIS[n % 3], ("list", "submit", "poll", "link")[n % 4])
        for n, name in enumerate(BODIES)
    ],
)
def test_a_body_of_another_shape_is_a_sentence(lab, name, api, point):
    """A body that is no such JSON, or none at all, ends in a sentence."""
    lab.front.on(POINTS[api][point], hostile.answer(200, BODIES[name]))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1])
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence()


WIRES = {
    "no HTTP": b"hello\r\n\r\n",
    "HTTP/0.9": b"[]",
    "another version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n[]",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[]",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "a body that is cut": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n[]",
    "chunks that are cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n[]",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[]\r\n",
    "a chunk of a negative size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n[]",
    "gzip that is none": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n"
    b"\r\n[]",
    "gzip that is cut": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xcb\x48",
    "deflate that is none": b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 2\r\n"
    b"\r\n[]",
    "an encoding that nobody knows": b"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\n"
    b"Content-Length: 2\r\n\r\n[]",
    "a hundred and fifty headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"X-%d: y\r\n" % n for n in range(150))
    + b"Content-Length: 2\r\n\r\n[]",
    "a header of 100 KB": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n[]",
    "a header with a NUL": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\n[]",
    "a header that is folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n[]",
    "a charset that is none": b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=klingon"
    b"\r\nContent-Length: 2\r\n\r\n[]",
    "a date that is none": b"HTTP/1.1 200 OK\r\nDate: never\r\nContent-Length: 2\r\n\r\n[]",
    "a date of the year 1": b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 0001 00:00:00 GMT\r\n"
    b"Content-Length: 2\r\n\r\n[]",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "an answer before its time": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    b"Content-Length: 2\r\n\r\n[]",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "bytes beyond ASCII in the reason": b"HTTP/1.1 500 \xff\xfe\r\nContent-Length: 0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "api", "point"),
    [
        (name, APIS[n % 3], ("list", "submit", "poll", "file", "link")[n % 5])
        for n, name in enumerate(WIRES)
    ],
)
def test_what_is_no_http_is_a_sentence(lab, name, api, point):
    """An answer that breaks HTTP ends in a sentence, or does no harm."""
    lab.front.on(POINTS[api][point], hostile.raw(WIRES[name]))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1])
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence()


# Standard output and standard error.


@pytest.mark.short("a_closed_output_is_a_sentence")
def test_a_closed_output_is_a_sentence(lab):
    """A standard output that is closed from the start ends in a sentence."""
    run = lab.run(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], closed=[1], pace=1)
    run.assert_sentence("standard output|stdout|target")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--discover"], ["--about"], ["--about", "--format=json"]],
    ids=lambda given: " ".join(given) or "a run",
)
def test_a_full_output_is_a_sentence(lab, arguments):
    """A standard output that is full ends in a sentence: a run, discovery and --about."""
    full = os.open("/dev/full", os.O_WRONLY)
    config = lab.config(INSIGHTS)
    run = lab.run(config, *arguments, stdout=full, pace=1, streams=None)
    os.close(full)
    run.assert_sentence("output|stdout|target|space")


@pytest.mark.parametrize("arguments", [[], ["--discover"]], ids=lambda a: " ".join(a) or "a run")
def test_an_output_that_nobody_reads_is_a_sentence(lab, arguments):
    """A standard output whose reader has gone ends in a sentence."""
    reader, writer = os.pipe()
    os.close(reader)
    run = lab.run(lab.config(INSIGHTS), *arguments, stdout=writer, pace=1)
    os.close(writer)
    run.assert_sentence("target|output|stdout|reads")


def test_an_output_that_cannot_be_written_is_a_sentence(lab):
    """A standard output that is open for reading alone ends in a sentence."""
    path = lab.folder / "readonly"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    run = lab.run(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], stdout=descriptor, pace=1)
    os.close(descriptor)
    run.assert_sentence("output|stdout|target")


@pytest.mark.parametrize("how", ["closed", "full"])
def test_without_standard_error_the_run_goes_on(lab, how):
    """A standard error that is closed or full costs the log, not the rows."""
    if how == "closed":
        run = lab.run(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], closed=[2], pace=1)
    else:
        full = os.open("/dev/full", os.O_WRONLY)
        run = lab.run(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], stderr=full, pace=1)
        os.close(full)
    assert run.code == 0
    assert run.records(STREAMS[INSIGHTS][1])


def test_a_closed_input_does_no_harm(lab):
    """A standard input that is closed does no harm."""
    lab.run(lab.config(INSIGHTS), streams=STREAMS[INSIGHTS], closed=[0], pace=1).assert_ok()


@pytest.mark.parametrize("arguments", [["doctor"], ["schema"]], ids=" ".join)
def test_the_companion_says_it_of_its_output_as_well(lab, arguments):
    """The companion's commands say in a sentence that their output cannot be written."""
    full = os.open("/dev/full", os.O_WRONLY)
    config, more = (
        (lab.config(), []) if arguments == ["doctor"] else (None, ["--api-url", lab.front.url])
    )
    run = lab.run(config, *arguments, *more, program=COMPANION, stdout=full)
    os.close(full)
    assert run.code != 0


# TLS.


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("of an unknown authority", "an API"),
        ("of an unknown authority", "the storage"),
        ("of an unknown authority", "sign-in"),
        ("that is past", "an API"),
        ("that is past", "the storage"),
        ("that is to come", "sign-in"),
        ("of another name", "an API"),
        ("of another name", "the storage"),
        ("of no name at all", "sign-in"),
    ],
)
@pytest.mark.short("of another name-an API")
def test_a_certificate_that_is_no_good_is_named(lab, certificates, name, where):
    """A certificate that is no good is named, with its host and the setting that helps."""
    days = {"that is past": (-20, -10), "that is to come": (10, 20)}.get(name, (-1, 30))
    names = {
        "of another name": ["other.test"], "of no name at all": ["nothing.invalid"],
    }.get(name, ["127.0.0.1", "localhost"])  # fmt: skip
    trusted = name != "of an unknown authority"
    bad = lab.server(lab.sandbox.url, tls=certificates.context(*names, days=days, trusted=trusted))
    env = {"REQUESTS_CA_BUNDLE": str(certificates.bundle)} if trusted else {}
    config = lab.config(INSIGHTS, **QUICK)
    if where == "the storage":
        from support.attack import set_links

        set_links(
            lab.front, INSIGHTS, lambda _: f"{bad.url}/file?Signature=5iGnAtUrE0123456789ABCD"
        )
    else:
        config["api_url"] = bad.url
        if where == "sign-in":
            config |= lab.with_pat
    run = lab.run(config, streams=STREAMS[INSIGHTS][:1], env=env)
    run.assert_sentence("certificate", r"127\.0\.0\.1", "REQUESTS_CA_BUNDLE|CA_BUNDLE|SSL_CERT")


def test_http_on_a_port_of_https_is_named(lab):
    """An `api_url` with https on a port that speaks http is said to be that."""
    config = lab.config(INSIGHTS, **QUICK, api_url=f"https://{lab.front.netloc}")
    run = lab.run(config, streams=STREAMS[INSIGHTS])
    run.assert_sentence("TLS|SSL|https")


def test_https_on_a_port_of_http_is_named(lab, certificates):
    """An `api_url` with http on a port that speaks https ends in a sentence."""
    secure = lab.server(tls=certificates.context("127.0.0.1"))
    config = lab.config(INSIGHTS, **QUICK, api_url=f"http://{secure.netloc}")
    lab.run(config, streams=STREAMS[INSIGHTS]).assert_sentence("reach|answer")


@pytest.mark.parametrize("where", ["is not there", "is a folder", "is no certificate", "is empty"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE"])
def test_a_bundle_that_cannot_be_read_is_named(lab, certificates, where, variable):
    """A bundle of certificates that cannot be read is named with its variable."""
    secure = lab.server(lab.sandbox.url, tls=certificates.context("127.0.0.1"))
    path = lab.folder / "bundle.pem"
    if where == "is a folder":
        path.mkdir()
    elif where != "is not there":
        path.write_text("" if where == "is empty" else "no certificate", "utf-8")
    config = lab.config(INSIGHTS, **QUICK, api_url=secure.url)
    run = lab.run(config, streams=STREAMS[INSIGHTS], env={variable: str(path)})
    run.assert_sentence("certificate|bundle")


# Settings.

UNSENDABLE = {
    "a line feed at its end": "Token-0123456789\n",
    "a line end inside": "Token-01234\r\nX-Evil: yes",
    "a blank in front": " Token-0123456789",
    "blanks alone": "   ",
    "a tab inside": "Token\t-0123456789",
    "a NUL": "Token-0123456789\0",
    "letters beyond Latin": "Tok€n-0123456789-☃",
    "typographic quotes": "“Token-0123456789”",
    "a soft hyphen": "Token\u00ad-0123456789",
    "a lone surrogate": "Token-\ud800-0123456789",
    "five thousand characters": "Token" * 1000,
    "its own name in front": "Bearer Token-0123456789",
}
SECRETS = ("access_token", "personal_access_token", "client_secret", "client_id", "refresh_token")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        *((name, "access_token") for name in list(UNSENDABLE)[::2]),
        *((name, SECRETS[1 + n % 4]) for n, name in enumerate(UNSENDABLE)),
    ],
)
@pytest.mark.short("a line feed at its end-access_token")
def test_a_secret_that_cannot_be_sent_is_named(lab, name, setting):
    """A token with a line feed, or any other that no header can hold, is named by its setting."""
    value = UNSENDABLE[name]
    if setting != "client_id":
        lab.plant(*(part for part in value.split() if "0123" in part and len(part) > 8))
    flow = {"auth_flow": "access_token"} if setting == "access_token" else {
        **lab.with_pat,
        "auth_flow": "refresh_token" if setting == "refresh_token" else "client_credentials",
        "token_store": str(lab.folder / "store.json"),
    }  # fmt: skip
    if setting == "refresh_token":
        flow["personal_access_token"] = None
    config = json.dumps(lab.config(INSIGHTS, **QUICK, **{**flow, setting: value}))
    run = lab.run(config, streams=None)
    assert not [r for r in lab.front.requests if "X-Evil" in dict(r.headers)]
    if run.code:
        run.assert_sentence(f"{setting}|401|403|400|431|sign")


ADDRESSES = {
    "no scheme": "developer.api.autodesk.com",
    "no scheme, a port": "127.0.0.1:8080",
    "empty": "",
    "a scheme alone": "https://",
    "one slash": "https:/developer.api.autodesk.com",
    "another scheme": "ftp://developer.api.autodesk.com",
    "a file": "file:///etc/passwd",
    "brackets that do not match": "http://[::1",
    "a port beyond all": "http://127.0.0.1:99999",
    "a port that is none": "http://127.0.0.1:port",
    "a port that is negative": "http://127.0.0.1:-1",
    "a blank": "http://exam ple.test",
    "a line feed": "http://127.0.0.1\n:80",
    "a host that is too long": f"http://{'a' * 300}.test",
    "a label that is too long": f"http://{'a' * 64}.test",
    "two dots": "http://a..test",
    "a name that no IDNA knows": "http://xn--\u2603.test",
    "a host that is not there": "http://nowhere.invalid",
    "a port that nobody listens on": "http://127.0.0.1:9",
    "blanks around": " FRONT ",
    "a path": "FRONT/insights/v1",
    "a slash at its end": "FRONT/",
    "a query": "FRONT?x=1",
    "a fragment": "FRONT#x",
    "quotes around": '"FRONT"',
    "a number": 5,
    "a list": ["FRONT"],
}
SERVES = ("blanks around", "a slash at its end")


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.short("no scheme")
def test_an_api_url_that_is_none_is_named(lab, name):
    """An `api_url` that is none is named, and what it should look like."""
    given = ADDRESSES[name]
    value = json.loads(json.dumps(given).replace("FRONT", lab.front.url))
    run = lab.run(lab.config(INSIGHTS, **QUICK, api_url=value), streams=STREAMS[INSIGHTS])
    if name not in SERVES or run.code:
        run.assert_sentence("api_url")


@pytest.mark.parametrize("name", list(ADDRESSES)[:8:2])
def test_the_companion_names_a_url_that_is_none(lab, name):
    """`autodesk-exports schema` names a URL that is none."""
    arguments = ["schema", f"--api-url={ADDRESSES[name]}"]
    run = lab.run(None, *arguments, program=COMPANION)
    assert run.code != 0
    assert run.stderr.strip() or run.raw.strip()


PROXIES = {
    "that wants credentials": ("http://FRONT", 407),
    "that refuses": ("http://FRONT", 403),
    "that fails": ("http://FRONT", 502),
    "that talks no HTTP": ("http://FRONT", None),
    "that is not there": ("http://127.0.0.1:9", 0),
    "that has no name": ("http://nowhere.invalid:8080", 0),
    "without a scheme": ("127.0.0.1:9", 0),
    "of another kind": ("socks5://127.0.0.1:9", 0),
    "of a kind that nobody knows": ("foo://127.0.0.1:9", 0),
    "that is no URL": ("http://[::1", 0),
    "with a port that is none": ("http://127.0.0.1:port", 0),
}


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        *((name, ("http", "https")[n < 3 or n % 2]) for n, name in enumerate(PROXIES)),
        ("that wants credentials", "http"),
    ],
)
@pytest.mark.short("that wants credentials-https")
def test_a_proxy_that_does_not_serve_is_named(lab, name, scheme):
    """A proxy that wants credentials, or fails otherwise, is named as the proxy."""
    url, status = PROXIES[name]
    action = (
        hostile.answer(status, b"", Proxy_Authenticate='Basic realm="x"')
        if status
        else (hostile.raw(b"hello\r\n"))
    )
    lab.front.on("* *", action)
    env = {f"{scheme.upper()}_PROXY": url.replace("FRONT", lab.front.netloc)}
    config = lab.config(INSIGHTS, **QUICK, api_url=f"{scheme}://developer.autodesk.test")
    run = lab.run(config, streams=STREAMS[INSIGHTS], env=env)
    words = ["proxy"]
    if status == 407:
        words.append("407|credentials|user")
    run.assert_sentence(*words)


INPUTS = {
    "is not there": None,
    "is a folder": ...,
    "is empty": "",
    "is blank": " \n",
    "is no JSON": "apis: [insights]",
    "breaks off": '{"apis": ["ins',
    "is a list": "[]",
    "is text": '"x"',
    "is a number": "5",
    "is null": "null",
    "is no UTF-8": b'{"\xff": 1}',
    "is UTF-16": '{"apis": []}'.encode("utf-16"),
    "is binary": bytes(range(256)),
    "is nested deeply": "[" * 100_000,
}
READ_BY = [
    *(("config", name) for name in INPUTS),
    *(("state", name) for name in INPUTS if name not in {"is a list", "is text", "is a number",
                                                          "is null"}),
    *(("catalog", name) for name in INPUTS),
]  # fmt: skip


@pytest.mark.parametrize(("what", "name"), READ_BY)
@pytest.mark.short("config-is no JSON")
def test_an_input_that_cannot_be_read_is_named(lab, what, name):
    """A config, state or catalog that is missing or no such JSON is named in a sentence."""
    path = lab.folder / f"given {what}.json"
    content = INPUTS[name]
    if content is ...:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content, "utf-8")
    config = None if what == "config" else lab.config(INSIGHTS)
    run = lab.run(config, f"--{what}", str(path))
    run.assert_sentence(what, code=None)
    assert run.code in {1, 2}


@pytest.mark.parametrize(
    "name", ["is not there", "is no JSON", "is a list", "is empty", "is a folder"]
)
def test_the_companion_names_a_config_that_cannot_be_read(lab, name):
    """The companion names a config that is missing or no JSON as well."""
    path = lab.folder / "given.json"
    content = INPUTS[name]
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_text(content, "utf-8")
    run = lab.run(None, "doctor", "--config", str(path), program=COMPANION)
    run.assert_sentence("config|given.json", code=None)
    assert run.code in {1, 2}


def users(columns=None, metadata=(), **parts):
    """Return a catalog of one stream, selected, with parts of another kind."""
    schema = {"type": "object", "properties": {"email": {"type": "string"}, **(columns or {})}}
    selected = {"breadcrumb": [], "metadata": {"selected": True, **dict(metadata)}}
    stream = {"tap_stream_id": "insights_users", "stream": "insights_users", "schema": schema}
    return {"streams": [{**stream, "metadata": [selected], **parts}]}


CATALOGS = {
    "a key that is a number": users(key_properties=5),
    "a key that is text": users(key_properties="email"),
    "a key of numbers": users(key_properties=[5]),
    "a key of metadata that is a number": users(metadata={"table-key-properties": 5}),
    "a replication key that is a list": users(replication_key=["email"]),
    "another name of the stream": users(stream="other"),
    "a name of the stream that is a list": users(stream=["insights_users"]),
    "a type that is a number": users({"email": {"type": 5}}),
    "alternatives that are numbers": users({"email": {"anyOf": [5]}}),
    "alternatives that are a number": users({"email": {"anyOf": 5}}),
    "a column that is nested deeply": users({"x": json.loads('{"a":' * 300 + "1" + "}" * 300)}),
    "streams that are null": {"streams": None},
    "streams that are an object": {"streams": {"a": {}}},
    "a stream that is null": {"streams": [None]},
    "a stream that is empty": {"streams": [{}]},
    "a stream without a schema": {"streams": [{"tap_stream_id": "insights_users", "metadata": []}]},
    "a stream that nobody knows": {
        "streams": [{"tap_stream_id": "x", "stream": "x", "schema": {}, "metadata": []}]
    },
    "metadata that is an object": {
        "streams": [
            {"tap_stream_id": "insights_users", "schema": {"properties": {}}, "metadata": {}}
        ]
    },
    "no streams": {},
}


@pytest.mark.parametrize("name", CATALOGS)
def test_a_catalog_of_another_shape_is_a_sentence(lab, name):
    """A catalog of another shape ends in a sentence, or does no harm."""
    run = lab.run(lab.config(INSIGHTS), catalog=CATALOGS[name])
    assert run.code in {0, 1, 2}
    if run.code:
        run.assert_sentence("catalog|stream", code=None)


VARIABLES = {
    "a list without brackets": ("APIS", "insights tokenflex"),
    "a list in another notation": ("APIS", "['insights']"),
    "a list that breaks off": ("APIS", '["insights"'),
    "a list of numbers": ("DATA_CONNECTOR_ACCOUNT_IDS", "[1, 2]"),
    "an object in the place of a list": ("HASH_COLUMNS", '{"a": "b"}'),
    "a number that is text": ("LOOKBACK_DAYS", "many"),
    "a number with a unit": ("LOOKBACK_DAYS", "35 days"),
    "a number that is a fraction": ("LOOKBACK_DAYS", "3.5"),
    "a number that is negative": ("LOOKBACK_DAYS", "-1"),
    "a number that is zero": ("MAX_CONCURRENT_EXPORTS", "0"),
    "a number that is infinite": ("EXPORT_TIMEOUT_MINUTES", "inf"),
    "no number": ("POLL_INTERVAL_SECONDS", "nan"),
    "minutes in words": ("EXPORT_TIMEOUT_MINUTES", "ten"),
    "a truth value that is none": ("SANDBOX", "maybe"),
    "an object that is a list": ("INSIGHTS_USAGE_REPORT_FILTERS", "[]"),
    "an object that is text": ("INSIGHTS_USAGE_REPORT_FILTERS", "assigned=true"),
    "credentials that are text": ("CREDENTIALS", "none"),
    "exports that are text": ("TOKENFLEX_EXPORTS", "own"),
    "exports that are an object": ("TOKENFLEX_EXPORTS", '{"name": "own"}'),
    "a date that is none": ("START_DATE", "yesterday"),
    "a date that no calendar has": ("START_DATE", "2026-02-30"),
    "a date in another order": ("END_DATE", "31.12.2026"),
    "a choice that is none": ("DATA_CONNECTOR_EXTRACT", "newest"),
    "an API that is none": ("APIS", '["insigths"]'),
}


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.short("a list without brackets")
def test_a_variable_of_the_wrong_kind_is_named(lab, name):
    """An environment variable of the wrong kind is named, and how a list is written is said."""
    variable, value = VARIABLES[name]
    env = {
        "TAP_AUTODESK_EXPORTS_ACCESS_TOKEN": lab.access_token,
        "TAP_AUTODESK_EXPORTS_API_URL": lab.front.url,
        "TAP_AUTODESK_EXPORTS_APIS": '["insights"]',
        f"TAP_AUTODESK_EXPORTS_{variable}": value,
    }
    run = lab.run(None, "--config=ENV", env=env)
    run.assert_sentence(variable)
    if name.startswith("a list"):
        assert "[" in run.complaints


LOGS = {
    "a level that is none": ("TAP_AUTODESK_EXPORTS_LOGLEVEL", "LOUD"),
    "a level of two words": ("TAP_AUTODESK_EXPORTS_LOGLEVEL", "99 bottles"),
    "a file that is no configuration": ("SINGER_SDK_LOG_CONFIG", "CONFIG"),
    "a file that is no YAML": ("SINGER_SDK_LOG_CONFIG", "BROKEN"),
    "a folder": ("SINGER_SDK_LOG_CONFIG", "FOLDER"),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_cannot_be_set_up_is_named(lab, name):
    """A level or a configuration of the log that is none is named, before anything else."""
    variable, value = LOGS[name]
    (lab.folder / "broken.yml").write_bytes(b"a: [\xff\n\t}")
    files = {"CONFIG": "config.json", "BROKEN": "broken.yml", "FOLDER": "."}
    value = str(lab.folder / files[value]) if value in files else value
    run = lab.run(lab.config(INSIGHTS), streams=None, env={variable: value}, pace=1)
    run.assert_sentence(variable)


SETTINGS = {
    "apis as text": {"apis": "insights"},
    "apis that are empty": {"apis": []},
    "apis that are null in a list": {"apis": [None]},
    "a number as text": {"lookback_days": "35"},
    "a number beyond all": {"lookback_days": 10**30},
    "a timeout that is zero": {"export_timeout_minutes": 0},
    "a timeout that is huge": {"export_timeout_minutes": 1e308},
    "a start after its end": {"start_date": "2026-06-01", "end_date": "2026-01-01"},
    "a start in the far past": {"start_date": "0001-01-01"},
    "an end in the far future": {"end_date": "9999-12-31"},
    "a date with a zone that is none": {"start_date": "2026-01-01T00:00:00+99:00"},
    "own exports of one name": {
        "tokenflex_exports": [{"name": "own", "fields": ["usageDate"]}] * 2, "apis": ["tokenflex"],
    },
    "an own export of no name": {
        "tokenflex_exports": [{"name": "", "fields": ["usageDate"]}], "apis": ["tokenflex"],
    },
    "an own export with a name of two words": {
        "tokenflex_exports": [{"name": "my ../ own", "fields": ["usageDate"]}],
        "apis": ["tokenflex"],
    },
    "account IDs that are no IDs": {
        "apis": ["data_connector"], "data_connector_account_ids": ["../x", "a b", ""],
    },
    "project IDs that are no IDs": {
        "apis": ["data_connector"], "data_connector_project_ids": ["x/../y"],
    },
    "no accounts": {"apis": ["data_connector"], "data_connector_account_ids": []},
    "a pattern that breaks off": {"hash_columns": ["[", "*.["], "hash_key": "k" * 20},
    "a pattern of another kind": {"hash_columns": [5], "hash_key": "k" * 20},
    "batches without a folder": {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {}}},
    "batches in a folder that is not there": {
        "batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "/proc/nowhere"}},
    },
    "batches in an unknown form": {
        "batch_config": {"encoding": {"format": "xml"}, "storage": {"root": "file:///tmp"}},
    },
    "batches on a full disk": {
        "batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///dev/full"}},
    },
    "a map of a stream that is not there": {"stream_maps": {"nothing": {"a": "b"}}},
    "a map that breaks off": {"stream_maps": {"insights_users": {"a": "email +"}}},
    "a map of a column that is not there": {"stream_maps": {"insights_users": {"a": "nothing"}}},
    "a map that drops the key": {
        "stream_maps": {"insights_users": {"mail": "email", "__else__": None}}
    },
    "a filter that fails": {"stream_maps": {"insights_users": {"__filter__": "1/0"}}},
    "a map that fails at a cell": {"stream_maps": {"insights_users": {"a": "int(email)"}}},
    "a map to a key that is not there": {
        "stream_maps": {"insights_users": {"__key_properties__": ["nothing"]}}
    },
    "flattening without a depth": {"flattening_enabled": True},
    "a setting that nobody knows": {"insights_team_id": ["5"]},
}  # fmt: skip
HARMLESS = {"apis as text", "a number as text", "flattening without a depth",
            "a setting that nobody knows", "an end in the far future",
            "a map of a stream that is not there", "a timeout that is huge", "a number beyond all",
            "a start in the far past", "a pattern that breaks off"}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_makes_no_sense_is_named(lab, name):
    """A setting that makes no sense is named in a sentence."""
    config = {**lab.config(INSIGHTS), **SETTINGS[name]}
    run = lab.run(config, streams=None)
    assert run.code in {0, 1, 2}
    if run.code or name not in HARMLESS:
        run.assert_sentence(code=None)


CELLS = {
    "a cell of 20 MB": ["North", "x" * 20_000_000, "User"],
    "a cell with line ends of all kinds": ["a\r\nb\rc\u2028d", "\x0b\x0c", "\x1e"],
    "cells that are formulas": ["=1+1", "@SUM(A1)", "-2+3"],
    "control characters": ["\x01\x02\x7f", "\x1b[31mred", "\u202eevil"],
    "letters beyond the first plane": ["😀", "\U0010ffff", "👨‍👩‍👧"],
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, ("insights", "data_connector")[n % 2]) for n, name in enumerate(CELLS)],
)
def test_any_text_in_a_cell_is_loaded(lab, name, api):
    """Any text in a cell arrives as it is."""
    row = CELLS[name]
    header = ["team_alias", "email", "role"] if api == INSIGHTS else ["id", "name", "job_title"]
    serve_bytes(lab, api, csv_bytes([header, row]))
    stream = "insights_users" if api == INSIGHTS else "admin_users"
    run = lab.run(lab.config(api), streams=[stream])
    run.assert_ok()
    (record,) = run.records(stream)
    assert [record[name] for name in header[1:]] == row[1:]


def test_a_port_that_is_taken_is_named(lab):
    """`autodesk-exports sandbox` on a port that is taken says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = lab.run(None, "sandbox", "--port", str(port), program=COMPANION)
    run.assert_sentence("port|address|in use", code=None)
    assert run.code != 0


ARGUMENTS = {
    "an option that nobody knows": ["--nothing"],
    "an option without its value": ["--config"],
    "a test of another kind": ["--test=nothing"],
    "a format of another kind": ["--about", "--format=xml"],
    "a config twice": ["--config", "CONFIG", "--config", "CONFIG"],
    "discovery and a catalog": ["--discover", "--catalog", "CONFIG"],
    "the schema test": ["--test=schema"],
    "the record test": ["--test"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_odd_arguments_are_sentences(lab, name):
    """Arguments that make no sense end in a sentence."""
    given = [word.replace("CONFIG", str(lab.folder / "config.json")) for word in ARGUMENTS[name]]
    run = lab.run(lab.config(INSIGHTS), *given, pace=1)
    assert run.code in {0, 1, 2}


def test_a_sign_in_that_is_refused_is_a_sentence(lab):
    """A sign-in that is refused names the setting that is wrong."""
    flow = {"auth_flow": "client_credentials", "access_token": None, "client_id": "nobody",
            "client_secret": "nothing-0123456789",
            "personal_access_token": "pat-0123456789"}  # fmt: skip
    run = lab.run(lab.config(INSIGHTS, **flow), streams=STREAMS[INSIGHTS])
    run.assert_sentence("client_id|client_secret")
    assert lab.front.seen(f"POST {TOKEN}")
