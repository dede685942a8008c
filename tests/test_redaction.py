"""No log line tells a secret, also where somebody else's code would."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
import xml.sax.saxutils
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlencode

import pytest

from support import in_process, processes
from tap_autodesk_exports.redaction import (
    LONGEST_LINE,
    Redaction,
    excerpt,
    secrets_of,
    secrets_of_batches,
    trace,
    without_secrets,
)

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "eyJ-a-token-that-nobody-may-see"
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n"
    "-----END PRIVATE KEY-----"
)
LINK = (
    "https://storage.example/file.csv?X-Amz-Date=20260101&X-Amz-Signature=" + "0123456789abcdef" * 4
)
HASH_KEY = "correct horse battery staple"

LEAKS = """
import sys, threading
from tap_autodesk_exports.autodesk.insights.client import Insights
from tap_autodesk_exports.tap import TapAutodeskExports

def leaky(self):
    token = self.http._context.sign_in.headers("insights")["Authorization"]
    log = TapAutodeskExports.logger
    log.warning("said plainly " + token)
    log.warning("said as %s and %r", "an argument", {"Authorization": token})
    def fail():
        raise OSError(token)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    raise RuntimeError(f"{token} was not taken; key " + TapAutodeskExports.key)

TapAutodeskExports.key = sys.argv.pop(1)
Insights.contexts = leaky
TapAutodeskExports.cli(sys.argv[1:], prog_name="tap-autodesk-exports")
"""
STRUCTURED = """
version: 1
disable_existing_loggers: false
formatters: {json: {(): singer_sdk.logging.StructuredFormatter}}
handlers: {err: {class: logging.StreamHandler, formatter: json, stream: ext://sys.stderr}}
root: {level: INFO, handlers: [err]}
"""


@pytest.fixture
def redaction() -> Redaction:
    return Redaction(lambda: [TOKEN, KEY, HASH_KEY, "short"])


def test_every_secret_is_blotted_out_wherever_it_stands(redaction):
    assert redaction.keep_link(LINK) == LINK
    query = LINK.partition("?")[2]
    said = redaction.redact(
        f"Bearer {TOKEN}, {KEY!r}, {KEY}, {HASH_KEY}, {LINK}, {query[-64:]}, a short way"
    )
    lines = [line for line in KEY.split("\n") if "---" not in line]
    for secret in (TOKEN, *lines, HASH_KEY, query, query[-64:]):
        assert secret not in said
    assert "https://storage.example/file.csv?***" in said
    assert "a short way" in said


AWKWARD = 'it\'s <a> "key" & more/+=%~ü'
SECRETS = [TOKEN, HASH_KEY, AWKWARD, LINK.partition("?")[2], "ab" * 40, "sixteen-letters!"]


def _lower(code):
    return code[0].lower()


def encodings():
    """Yield ways in which a library, a server or a traceback may write a secret."""
    yield "quoted", quote
    yield "quoted whole", lambda secret: quote(secret, safe="")
    yield "quoted in a form", quote_plus
    yield (
        "quoted in small letters",
        lambda secret: re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
    )
    yield "quoted twice", lambda secret: quote(quote(secret, safe=""), safe="")
    yield "as a form", lambda secret: urlencode({"grant": "x", "token": secret})
    yield "JSON", json.dumps
    yield "JSON of JSON", lambda secret: json.dumps(json.dumps({"token": secret}))
    yield "JSON with slashes escaped", lambda secret: json.dumps(secret).replace("/", "\\/")
    yield "JSON in its own letters", lambda secret: json.dumps(secret, ensure_ascii=False)
    yield "repr", repr
    yield "repr in a dict", lambda secret: str({"token": secret, "other": [secret.encode()]})
    yield "HTML", html.escape
    yield "HTML without quotes", lambda secret: html.escape(secret, quote=False)
    yield "JSON, every letter escaped", lambda secret: "".join(f"\\u{ord(c):04x}" for c in secret)
    yield "HTML, every letter escaped", lambda secret: "".join(f"&#{ord(c)};" for c in secret)
    yield "URL, every letter escaped", lambda secret: "".join(f"%{b:02X}" for b in secret.encode())
    yield "XML", xml.sax.saxutils.quoteattr
    for before in ("", "a", "ab", "app:"):
        for after in ("", "z", "@host"):
            name = f"Base64 of {before}…{after}"
            text = f"{before}{{}}{after}"
            yield name, lambda s, t=text: base64.b64encode(t.format(s).encode()).decode()
            yield (
                f"URL-safe {name}",
                lambda s, t=text: base64.urlsafe_b64encode(t.format(s).encode()).decode(),
            )


@pytest.mark.parametrize(
    ("way", "encode"), [*encodings()], ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_blotted_out_in_every_encoding(secret, way, encode):
    redaction = Redaction(lambda: SECRETS)
    said = redaction.redact(f"answered {encode(secret)} in 20 s")
    assert "***" in said, way
    if way.startswith(("Base64", "URL-safe")):
        (left,) = said.removeprefix("answered ").removesuffix(" in 20 s").split("***")[1:]
        assert len(left) < 12
        assert len(said) < 50
    else:
        assert not any(secret[at : at + 10] in said for at in range(len(secret) - 9))
        assert not any(unquote(secret)[at : at + 10] in said for at in range(len(secret) - 9))


def test_a_location_is_shown_without_its_secrets():
    for location, shown in {
        "s3://key:sec@bucket/t.json?x=1#y": "s3://bucket/t.json",
        "https://user:p@ss@host/x": "https://host/x",
        "zip://t.json::s3://key:sec@bucket/z.zip": "zip://t.json::s3://bucket/z.zip",
        "/home/a@b/c?.json": "/home/a@b/c?.json",
        "C:\\tokens#1.json": "C:\\tokens#1.json",
    }.items():
        assert without_secrets(location) == shown
    assert secrets_of("s3://key:s%2Fc@bucket/t?token=tok") == ["s%2Fc", "s/c", "tok", "token=tok"]
    assert secrets_of("/home/a@b/c?x=1") == []


def test_what_is_no_secret_stays(redaction):
    redaction.keep_link(LINK)
    said = "Insights: GET /exports?offset=0&limit=100 answered 500 on 20260101."
    assert redaction.redact(said) == said


def test_a_thousand_links_cost_a_log_line_no_time_to_speak_of(redaction):
    """Rows are not logged, so no row passes here; a run logs some hundred lines."""
    for number in range(3000):
        redaction.keep_link(LINK.replace("0123", f"{number:04}"))
    begin = time.process_time()
    for _ in range(20):
        redaction.redact("a line like any other " * 5)
    assert time.process_time() - begin < 0.4


@pytest.mark.parametrize("logging_is_configured", [False, True])
def test_leaky_calls_and_exceptions_tell_nothing(tmp_path: Path, sandbox, logging_is_configured):
    config = {**sandbox.settings(), "apis": ["insights"], "hash_columns": ["*.email"]}
    config["hash_key"] = HASH_KEY
    arguments = []
    catalog = in_process.catalog(config, "insights_users", "insights_contexts")
    for name, content in {"config": config, "catalog": catalog}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        arguments += [f"--{name}", str(tmp_path / f"{name}.json")]
    env = processes.clean_environment()
    if logging_is_configured:
        (tmp_path / "logging.yml").write_text(STRUCTURED, encoding="utf-8")
        env["SINGER_SDK_LOG_CONFIG"] = str(tmp_path / "logging.yml")
    done = subprocess.run(
        [sys.executable, "-c", LEAKS, HASH_KEY, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=os.fspath(tmp_path),
    )
    assert done.returncode == 1, done.stderr
    assert "said plainly Bearer ***" in done.stderr
    assert "'Authorization': 'Bearer ***'" in done.stderr
    assert "RuntimeError" in done.stderr
    assert "*** was not taken; key ***" in done.stderr
    assert "OSError: Bearer ***" in done.stderr
    assert HASH_KEY not in done.stdout + done.stderr
    processes.assert_no_secret(sandbox.url, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "written",
    [
        "zoe.planted+1@firm-example.test",
        "zoe.planted+1%40firm-example.test",
        "zoe.planted+1%2540firm-example.test",
        r"zoe.planted+1\u0040firm-example.test",
        "zoe.planted+1&#64;firm-example.test",
    ],
)
def test_addresses_are_blotted_out_where_they_are_hidden(written):
    said = f"User '{written}' is locked (3 @ 2)."
    assert Redaction(list).redact(said) == said
    assert Redaction(list, hide_addresses=True).redact(said) == "User '***' is locked (3 @ 2)."


def test_a_line_of_the_log_has_an_end_and_is_cut_after_it_was_redacted(capsys):
    redaction = Redaction(lambda: ["a-secret-of-the-user"])
    logger = logging.getLogger("a long line")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        redaction.guard()
        logger.warning("%sa-secret-of-the-user%s", "x" * (LONGEST_LINE - 10), "y" * 2_000_000)
    finally:
        logger.removeHandler(handler)
    said = capsys.readouterr().err
    assert "a-secret" not in said
    assert len(said) < LONGEST_LINE + 100
    assert said.rstrip().endswith("characters)")


SPELLINGS = {
    "HTML in decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "HTML in HTML": lambda text: "".join(f"&amp;#{ord(c)};" for c in text),
    "JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "Python": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "URL": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "URL in URL": lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
}
LONG = ["A-b_c.d~" * 8, "&<>\"'%+/=" * 6, "Müller-Straße-" * 5]


@pytest.mark.parametrize("secret", LONG)
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_secret_that_is_cut_off_is_looked_for_in_no_time(name, secret):
    """A server that repeats all but the end of one must not keep the tap busy for ever."""
    spelled = SPELLINGS[name](secret)
    redaction = Redaction(lambda: [secret])
    assert redaction.redact(f"before {spelled} after") == "before *** after"
    begin = time.process_time()
    for cut in (len(spelled) - 1, len(spelled) - 7, len(spelled) // 2):
        redaction.redact(f"before {spelled[:cut]}")
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "secret", ["\\" * 40, "\\a" * 20, "\\\\u" * 15, "%25%2525" * 6, "&#38;" * 9]
)
def test_a_secret_that_looks_like_escapes_is_looked_for_in_no_time(secret):
    """A server chooses what is in the query of its links."""
    redaction = Redaction(lambda: [secret])
    begin = time.process_time()
    for text in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), quote(secret) * 2):
        redaction.redact(text[:-1] + "x")
    assert secret not in redaction.redact(f"before {secret} after")
    assert json.dumps(secret)[1:-1] not in redaction.redact(json.dumps(secret))
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("name", SPELLINGS)
def test_somebody_elses_words_are_not_cut_within_a_secret(name):
    spelled = SPELLINGS[name](LONG[0])
    for before in range(0, 120, 7):
        text = excerpt(f"{'w' * before} said {spelled} more words", 100)
        assert not text.removesuffix("…").strip("w said") or spelled in text
        assert len(text) <= 101


@pytest.mark.parametrize("words", ["", "one", "two words", "a " * 50])
def test_short_words_are_shown_whole(words):
    assert excerpt(words, 100) == words.strip()


@pytest.mark.parametrize(
    "root",
    [
        "ftp://me:S3cret-Pass@host/x", "s3://key:S3cret-Pass@bucket", "ftp://me:S3cret-Pass@[::1/x",
        "simplecache::ftp://me:S3cret-Pass@host/x", "abfs://box@a.test/x?sig=S3cret-Pass",
        "zip://a.zip::sftp://me:S3cret-Pass@host/x", "https://me:S3cret-Pass@host:port/x",
    ],
)  # fmt: skip
def test_what_a_folder_of_batches_holds_of_secrets_is_known(root):
    config = {"storage": {"root": root, "params": {"secret": "An0ther-Secret", "anon": False}}}
    redaction = Redaction(list)
    redaction.keep(secrets_of_batches(config))
    shown = redaction.redact(f"{root} An0ther-Secret")
    assert "S3cret" not in shown
    assert "An0ther" not in shown


@pytest.mark.parametrize("config", [None, "x", [], {}, {"storage": "x"}, {"storage": {"root": 1}}])
def test_a_folder_of_batches_may_be_anything(config):
    assert [text for text in secrets_of_batches(config) if text != "1"] == []


def test_what_other_libraries_log_at_debug_is_left_out():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    loggers = [
        logging.getLogger(name)
        for name in ("botocore.auth", "gcsfs", "tap-autodesk-exports.x", "singer_sdk.y")
    ]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        Redaction(list).guard()
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
            logger.debug("x-amz-security-token of %s", logger.name)
            logger.info("as it goes with %s", logger.name)
    finally:
        root.removeHandler(handler)
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
    said = out.getvalue()
    assert [name for name in ("botocore.auth", "gcsfs") if f"token of {name}" in said] == []
    assert all(f"as it goes with {logger.name}" in said for logger in loggers)
    assert "token of tap-autodesk-exports.x" in said
    assert "token of singer_sdk.y" in said


CELL = "zoe.planted@firm-example.test"


def _quoted_by_a_database():
    import duckdb

    duckdb.sql(f"SELECT CAST('{CELL}' AS DATE)").fetchall()


@pytest.mark.parametrize(
    "fail",
    [
        _quoted_by_a_database,
        lambda: int(CELL),
        lambda: {}[CELL],
        lambda: {}[f"two\nlines, {CELL}"],
        lambda: json.loads('"')[CELL],
        lambda: bytes.fromhex(CELL),
    ],
)
def test_the_traceback_of_a_defect_quotes_no_value(fail):
    def fail_again():
        try:
            fail()
        except Exception as error:
            msg = f"because of {str(error)!r}"
            raise RuntimeError(msg) from error

    for each in (fail, fail_again):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
            each()
        said = trace(caught.value)
        assert "planted" not in said
        assert f"{type(caught.value).__name__}: " in said
        assert "test_redaction.py" in said
