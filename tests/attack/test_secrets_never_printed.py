"""Kind 3: no secret is printed, whoever repeats it and however it is spelled."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from support import hostile
from support.attack import COMPANION, POINTS, STREAMS, TOKEN, csv_bytes, serve_bytes
from tap_autodesk_exports.sandbox import credentials

pytestmark = pytest.mark.kind(3)

SECRET = "Tr1cky/Secret+Value=&\"<ab>'%zz~0123456789"
NUMBER = 9_007_199_254_740_993
PASSWORD = "S3cret-Pass-0123"
INSIGHTS = "insights"

# Settings.

SECRET_SETTINGS = (
    "client_secret", "refresh_token", "access_token", "personal_access_token",
    "service_account_private_key", "hash_key",
)  # fmt: skip
MALFORMED = {
    "credentials as text": {"credentials": SECRET},
    "credentials as JSON in text": {
        "credentials": json.dumps({INSIGHTS: {"access_token": SECRET}})
    },
    "credentials as a list": {"credentials": [SECRET]},
    "credentials as a list of objects": {"credentials": [{INSIGHTS: {"client_secret": SECRET}}]},
    "credentials of an API as text": {"credentials": {INSIGHTS: SECRET}},
    "credentials of an API as a list": {"credentials": {INSIGHTS: [{"client_secret": SECRET}]}},
    "credentials of an unknown API": {"credentials": {"inssights": {"client_secret": SECRET}}},
    "credentials with an unknown name": {"credentials": {INSIGHTS: {"clientSecret": SECRET}}},
    "credentials without an API": {"credentials": {"client_secret": SECRET}},
    "a secret as the name of an API": {"credentials": {SECRET: {"client_id": "x"}}},
    "a secret as a name": {"credentials": {INSIGHTS: {SECRET: "x"}}},
    "a secret in credentials as a list": {"credentials": {INSIGHTS: {"access_token": [SECRET]}}},
    "a secret in credentials as a number": {"credentials": {INSIGHTS: {"client_secret": NUMBER}}},
    "a secret in credentials deeper": {
        "credentials": {INSIGHTS: {"client_secret": {"value": SECRET}}}
    },
    "an unknown flow beside secrets": {
        "auth_flow": "refreshtoken", "refresh_token": SECRET, "client_secret": SECRET,
    },
    "a flow that lacks something": {
        "auth_flow": "service_account", "client_secret": SECRET, "refresh_token": SECRET,
    },
    "flows that exclude each other": {
        "auth_flow": None, "access_token": None, "refresh_token": SECRET,
        "personal_access_token": SECRET, "service_account_private_key": SECRET,
    },
    "a wrong setting beside secrets": {"lookback_days": "many", "client_secret": SECRET},
    **{f"{name} as a list": {name: [SECRET]} for name in SECRET_SETTINGS},
    **{f"{name} as an object": {name: {"value": SECRET}} for name in SECRET_SETTINGS[:3]},
    **{f"{name} as a number": {name: NUMBER} for name in SECRET_SETTINGS[1:4]},
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.short("credentials of an API as text", "a secret in credentials as a number")
def test_what_is_wrong_with_a_setting_is_said_without_its_secret(lab, name):
    """A malformed setting is named in a sentence that holds nothing of a secret."""
    lab.plant(SECRET, str(NUMBER))
    run = lab.run(lab.config(INSIGHTS, **MALFORMED[name]), streams=STREAMS[INSIGHTS])
    run.assert_sentence(f"{next(iter(MALFORMED[name]))}|credentials|auth_flow|service_account")


@pytest.mark.parametrize(
    "name", [name for name in MALFORMED if name.startswith("credentials")][::2]
)
def test_the_companion_says_it_without_a_secret_as_well(lab, name):
    """The companion's commands name a malformed setting without its secret too."""
    lab.plant(SECRET)
    config = lab.config(INSIGHTS, **MALFORMED[name])
    run = lab.run(config, "doctor", program=COMPANION)
    run.assert_sentence("credentials", code=None)
    assert run.code != 0


ENVIRONMENT = {
    "credentials that are no JSON": {"CREDENTIALS": "{" + SECRET},
    "credentials that are a list": {"CREDENTIALS": json.dumps([SECRET])},
    "credentials that are text": {"CREDENTIALS": SECRET},
    "credentials with an unknown name": {
        "CREDENTIALS": json.dumps({INSIGHTS: {"accesstoken": SECRET}})
    },
    "a secret beside a wrong number": {"CLIENT_SECRET": SECRET, "LOOKBACK_DAYS": "many"},
    "a secret beside a wrong list": {"REFRESH_TOKEN": SECRET, "APIS": '["nothing"]'},
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_what_is_wrong_in_the_environment_is_said_without_its_secret(lab, name):
    """A malformed environment variable is named in a sentence that holds nothing of a secret."""
    lab.plant(SECRET)
    given = {
        "ACCESS_TOKEN": lab.access_token,
        "API_URL": lab.front.url,
        "APIS": '["insights"]',
    }
    env = {
        f"TAP_AUTODESK_EXPORTS_{key}": value for key, value in (given | ENVIRONMENT[name]).items()
    }
    run = lab.run(None, "--config=ENV", env=env)
    run.assert_sentence("credentials|lookback_days|apis")


FILES = {
    "a config that breaks off": '{"client_secret": "SECRET", "apis": [',
    "a config with a comma too many": '{"client_secret": "SECRET",}',
    "a config that is a list": '["SECRET"]',
    "a config that is text": '"SECRET"',
    "a config in YAML": "client_secret: SECRET\napis: [insights]\n",
    "a config in quotes of another kind": "{'client_secret': 'SECRET'}",
    "a config with a line feed in a secret": '{"client_secret": "SECRET\n"}',
}


@pytest.mark.parametrize("name", FILES)
def test_a_config_that_cannot_be_read_is_not_quoted(lab, name):
    """A config file that is no JSON object is named in a sentence that quotes nothing of it."""
    lab.plant(SECRET, PASSWORD)
    run = lab.run(FILES[name].replace("SECRET", PASSWORD), "--discover")
    run.assert_sentence("config", "json|object")


STORES = {
    "S3": "s3://AKIAEXAMPLE:PASSWORD@bucket/tokens.json",
    "HTTPS": "https://somebody:PASSWORD@127.0.0.1:9/tokens.json",
    "HTTP": "http://somebody:PASSWORD@127.0.0.1:9/tokens.json",
    "FTP": "ftp://somebody:PASSWORD@127.0.0.1:9/tokens.json",
    "SFTP": "sftp://somebody:PASSWORD@127.0.0.1:9/tokens.json",
    "Redis": "redis://:PASSWORD@127.0.0.1:9/0",
    "an unknown one": "vault+x://somebody:PASSWORD@vault.test/tokens",
    "Azure with a signature": "abfs://box@account.test/t.json?sv=1&sig=PASSWORD",
    "a signed link": "https://127.0.0.1:9/t.json?X-Amz-Signature=PASSWORD",
    "a password with reserved characters": "https://somebody:PASSWORD%2F%40x@127.0.0.1:9/t.json",
    "a port that is none": "https://somebody:PASSWORD@127.0.0.1:port/t.json",
    "brackets that do not match": "https://somebody:PASSWORD@[::1/t.json",
}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.short("an unknown one")
def test_a_token_store_is_named_without_its_password(lab, name):
    """A `token_store` that cannot be used is named without its password or signature."""
    lab.plant(PASSWORD)
    store = STORES[name].replace("PASSWORD", PASSWORD)
    flow = {**lab.with_refresh_token, "token_store": store}
    run = lab.run(lab.config(INSIGHTS, **flow), streams=STREAMS[INSIGHTS])
    run.assert_sentence("token.store")


PLACES_OF_URLS = {
    "api_url, a dead host": ({"api_url": "http://somebody:PASSWORD@127.0.0.1:9"}, {}),
    "api_url, a live host": ({"api_url": "http://somebody:PASSWORD@FRONT"}, {}),
    "api_url, a bad port": ({"api_url": "http://somebody:PASSWORD@127.0.0.1:port"}, {}),
    "api_url, another scheme": ({"api_url": "ftp://somebody:PASSWORD@FRONT"}, {}),
    "api_url, in the query": (
        {"api_url": "http://FRONT/?key=PASSWORD&X-Amz-Signature=PASSWORD"}, {},
    ),
    "a proxy, dead": ({}, {"HTTP_PROXY": "http://somebody:PASSWORD@127.0.0.1:9"}),
    "a proxy, live": ({}, {"HTTP_PROXY": "http://somebody:PASSWORD@FRONT"}),
    "a proxy, a bad port": ({}, {"HTTP_PROXY": "http://somebody:PASSWORD@127.0.0.1:port"}),
    "a proxy, another scheme": ({}, {"ALL_PROXY": "socks5://somebody:PASSWORD@127.0.0.1:9"}),
    "a folder of batches": (
        {"batch_config": {
            "encoding": {"format": "jsonl"},
            "storage": {"root": "ftp://somebody:PASSWORD@127.0.0.1:9/x"},
        }},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES_OF_URLS)
def test_a_password_in_a_url_is_not_printed(lab, name):
    """A password in a URL of the settings or the environment is not printed."""
    lab.plant(PASSWORD)
    config, env = json.loads(
        json.dumps(PLACES_OF_URLS[name])
        .replace("PASSWORD", PASSWORD)
        .replace("FRONT", lab.front.netloc)
    )
    run = lab.run(lab.config(INSIGHTS, **config), streams=STREAMS[INSIGHTS], env=env)
    assert run.code in {0, 1}


def pem(kind, **how):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = {
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
    }[kind]()
    encryption = (
        serialization.BestAvailableEncryption(b"pass")
        if how.get("encrypted")
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


KEYS = {
    "another kind": lambda: pem("EC"),
    "an encrypted one": lambda: pem("RSA", encrypted=True),
    "one that breaks off": lambda: pem("RSA")[:700],
    "one without its first line": lambda: pem("RSA").partition("\n")[2],
    "one with blanks in place of line ends": lambda: pem("RSA").replace("\n", " "),
    "one with its line ends escaped": lambda: pem("RSA").replace("\n", "\\n")[:900],
    "one with a changed character": lambda: pem("RSA").replace("A", "B"),
}


@pytest.mark.parametrize(
    ("name", "where"), [(name, ("text", "file")[n % 2]) for n, name in enumerate(KEYS)]
)
def test_a_private_key_that_cannot_be_used_is_not_printed(lab, name, where):
    """A service account's private key that cannot be used is not printed."""
    key = KEYS[name]()
    separator = " " if "blanks" in name else "\\n" if "escaped" in name else "\n"
    lab.plant(*(line for line in key.split(separator) if len(line) > 20 and "-----" not in line))
    path = lab.folder / "key.pem"
    path.write_text(key, encoding="utf-8")
    flow = {
        "auth_flow": "service_account",
        "access_token": None,
        "client_id": credentials.CLIENT_ID,
        "client_secret": lab.with_pat["client_secret"],
        "service_account_id": credentials.SERVICE_ACCOUNT_ID,
        "service_account_key_id": credentials.SERVICE_ACCOUNT_KEY_ID,
        "service_account_private_key": key if where == "text" else str(path),
    }
    run = lab.run(lab.config("data_connector", **flow), streams=STREAMS["data_connector"])
    run.assert_sentence("key|assertion|service_account", code=None)
    assert run.code in {0, 1}


# Servers that repeat what they were sent.

ENCODINGS = {
    "raw": lambda text: text,
    "URL": lambda text: quote(text, safe=""),
    "URL with slashes": quote,
    "URL with plus signs": quote_plus,
    "URL in small letters": lambda text: quote(text, safe="").replace("%2F", "%2f"),
    "URL, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with every character escaped": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "HTML in decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "Base64 of the header": lambda text: base64.b64encode(f"Bearer {text}".encode()).decode(),
    "Base64 of name and value": lambda text: base64.b64encode(f"a={text}&b".encode()).decode(),
}
TOKEN_FLOW = {"auth_flow": "access_token", "access_token": SECRET}


def answering(status, body, kind):
    return hostile.answer(status, body, Content_Type=kind)


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [(encoding, ("JSON", "text")[n % 2]) for n, encoding in enumerate(ENCODINGS)],
)
@pytest.mark.short("Base64 of the header-JSON", "HTML in hexadecimal-text")
def test_an_error_that_repeats_a_token_is_not_repeated(lab, encoding, kind):
    """An API's error that repeats the access token, however encoded, is shown without it."""
    text = f"the token {ENCODINGS[encoding](SECRET)} is no good"
    body, kind = (
        (json.dumps({"developerMessage": text}), "application/json")
        if kind == "JSON"
        else (text, "text/plain")
    )
    lab.front.on("* /insights/*", answering(403, body, kind))
    run = lab.run(lab.config(INSIGHTS, **TOKEN_FLOW), streams=STREAMS[INSIGHTS])
    run.assert_sentence("403")


def with_reason(status):
    return hostile.raw(f"HTTP/1.1 {status} {SECRET}\r\nContent-Length: 0\r\n\r\n".encode())


ECHOES = {
    "the reason of a 400": with_reason(400),
    "the reason of a 500": with_reason(500),
    "Retry-After": hostile.answer(429, b"", Retry_After=SECRET),
    "Location": hostile.redirect(302, f"http://127.0.0.1:9/?token={quote(SECRET, safe='')}"),
    "WWW-Authenticate": hostile.answer(401, b"", WWW_Authenticate=f'Bearer error="{SECRET}"'),
    "a header of its own": hostile.answer(400, b"", X_Ads_Error=SECRET),
    "the kind of a body": hostile.answer(200, b"x", Content_Type=f"text/{SECRET}"),
    "the encoding of a body": hostile.answer(200, b"x", Content_Encoding=SECRET),
    "a page": answering(200, f"<html><title>{SECRET}</title></html>", "text/html"),
    "a page with the token escaped": answering(502, f"<b>{html.escape(SECRET)}</b>", "text/html"),
    "a key of JSON": answering(400, json.dumps({SECRET: SECRET}), "application/json"),
    "a list of JSON": answering(400, json.dumps([{"detail": [SECRET]}]), "application/json"),
    "the status line itself": hostile.raw(f"HTTP/1.1 {SECRET}\r\n\r\n".encode()),
    "no HTTP at all": hostile.raw(f"{SECRET}\r\n\r\n".encode()),
    "a header without a colon": hostile.raw(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n[]".encode()),
    "a wrong length": hostile.raw(
        f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n[]".encode()
    ),
    "a wrong chunk": hostile.raw(
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n".encode()
    ),
    "a value of JSON that is too long": answering(
        400, json.dumps({"detail": "x" * 190 + SECRET + "y" * 5000}), "application/json"
    ),
}


@pytest.mark.parametrize("name", ECHOES)
def test_no_part_of_an_answer_is_repeated_with_a_token(lab, name):
    """Whatever part of an answer repeats the token, it is not printed."""
    lab.front.on("* /insights/*", ECHOES[name])
    run = lab.run(lab.config(INSIGHTS, **TOKEN_FLOW), streams=STREAMS[INSIGHTS])
    assert run.code in {0, 1}


FLOWS = {
    "client_secret": {
        "auth_flow": "client_credentials", "client_id": "app", "client_secret": SECRET,
        "personal_access_token": "pat-0123456789",
    },
    "refresh_token": {"auth_flow": "refresh_token", "client_id": "app", "refresh_token": SECRET},
}  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "flow"),
    [(encoding, list(FLOWS)[n % 2]) for n, encoding in enumerate(list(ENCODINGS)[::2])],
)
def test_a_sign_in_that_repeats_a_secret_is_not_repeated(lab, encoding, flow):
    """A token endpoint's error that repeats what it was sent is shown without it."""
    text = ENCODINGS[encoding](SECRET)
    content = {"error": "invalid_client", "error_description": f"no good: {text}"}
    lab.front.on(f"POST {TOKEN}", hostile.json_answer(content, 400))
    config = lab.config(INSIGHTS, **{"access_token": None, **FLOWS[flow]})
    run = lab.run(config, streams=STREAMS[INSIGHTS])
    run.assert_sentence("sign|token|400")


def test_a_sign_in_that_repeats_basic_credentials_is_not_repeated(lab):
    """A token endpoint's error that repeats the Authorization header is shown without it."""

    def echo(exchange):
        sent = exchange.request.header("Authorization") + " " + exchange.request.body.decode()
        hostile.json_answer({"error": "invalid_client", "error_description": sent}, 401)(exchange)

    lab.front.on(f"POST {TOKEN}", echo)
    config = lab.config(INSIGHTS, access_token=None, **FLOWS["client_secret"])
    run = lab.run(config, streams=STREAMS[INSIGHTS])
    run.assert_sentence("401|invalid_client|sign")


# Links under names that nobody knows.

SIGNATURE = "5iGnAtUrE0123456789AbCdEfGhIjKlMnOp"
LINKS = {
    "AWS 2": f"https://bucket.test/a.csv?AWSAccessKeyId=AKIA1&Expires=1&Signature={SIGNATURE}",
    "AWS 4": f"https://bucket.test/a.csv?X-Amz-Credential=a&X-Amz-Signature={SIGNATURE}",
    "AWS 4 in small letters": f"https://bucket.test/a.csv?x-amz-signature={SIGNATURE}",
    "a session of AWS": f"https://bucket.test/a?X-Amz-Signature=x&X-Amz-Security-Token={SIGNATURE}",
    "Azure": f"https://account.test/box/a.csv?sv=2022&se=2030&sr=b&sp=r&sig={SIGNATURE}",
    "Google": f"https://storage.test/a.csv?X-Goog-Credential=a&X-Goog-Signature={SIGNATURE}",
    "CloudFront": f"https://cdn.test/a?Policy=p&Key-Pair-Id=K1&Signature={SIGNATURE}",
    "capitals": f"HTTPS://BUCKET.TEST/A.CSV?X-AMZ-SIGNATURE={SIGNATURE}",
    "http": f"http://bucket.test/a.csv?Signature={SIGNATURE}",
    "escaped": f"https://bucket.test/a.csv?X-Amz-Credential=a%2Fb&X-Amz%2DSignature={SIGNATURE}",
}
SHAPES = {
    "a field": lambda link: link,
    "a list": lambda link: [link, link],
    "an object": lambda link: {"href": link, "rel": "self"},
    "an object in a list": lambda link: [{"links": {"csv": {"url": link}}}],
    "a sentence": lambda link: f"Your file is at {link} for an hour.",
    "JSON in text": lambda link: json.dumps({"href": link}),
    "a name": lambda link: {link: 1},
    "escaped HTML": lambda link: f'<a href="{html.escape(link)}">file</a>',
}
ENTRIES = {
    "insights_contexts": ("GET /insights/v1/contexts", None),
    "tokenflex_contracts": ("GET /tokenflex/v1/contract", None),
    "tokenflex_contract_years": ("GET /tokenflex/v1/contract/*", "contractYears"),
    "data_connector_requests": ("GET /data-connector/v1/accounts/*/requests", "results"),
    "data_connector_jobs": ("GET /data-connector/v1/accounts/*/jobs", "results"),
    "data_connector_files": ("GET /data-connector/v1/accounts/*/data-listing", None),
}
LINKED = [
    *((link, "a field", "insights_contexts") for link in LINKS),
    *(("AWS 4", shape, "insights_contexts") for shape in SHAPES if shape != "a field"),
    *(("Azure", "a field", stream) for stream in ENTRIES if stream != "insights_contexts"),
]


def linked(name, shape):
    def change(content):
        entries = content[name] if name else content
        for entry in entries:
            entry["archive"] = shape
        return content

    return change


@pytest.mark.parametrize(
    ("link", "shape", "stream"), LINKED, ids=[f"{a}, {b}, {c}" for a, b, c in LINKED]
)
@pytest.mark.short("AWS 4, an object in a list, insights_contexts")
def test_a_signed_link_under_any_name_reaches_no_record(lab, link, shape, stream):
    """A URL with a signature in its query reaches no record, whatever its name and shape."""
    lab.plant(SIGNATURE)
    pattern, name = ENTRIES[stream]
    lab.front.on(pattern, hostile.edit(linked(name, SHAPES[shape](LINKS[link]))))
    api = next(api for api in STREAMS if stream.startswith(api))
    if api == "tokenflex" and name:
        lab.front.on("GET /tokenflex/v1/contract", hostile.forward)
    run = lab.run(lab.config(api), streams=[stream, *STREAMS[api][:1]])
    run.assert_ok()
    assert run.records(stream)


@pytest.mark.parametrize("link", list(LINKS)[:6])
@pytest.mark.parametrize("form", ["CSV", "JSON"])
@pytest.mark.short("CSV-Azure")
def test_a_signed_link_in_an_unknown_column_is_not_rescued(lab, link, form):
    """A URL with a signature in a column that nobody knows is not kept in `_rescued_data`."""
    lab.plant(SIGNATURE)
    row = {"team_alias": "North", "email": "a@b.test", "role": "User", "avatar": LINKS[link]}
    if form == "CSV":
        data = csv_bytes([list(row), list(row.values())])
    else:
        data = json.dumps([{**row, "profile": {"picture": LINKS[link]}}]).encode()
    serve_bytes(lab, INSIGHTS, data, kind="text/csv" if form == "CSV" else "application/json")
    config = lab.config(INSIGHTS, insights_output_format=form)
    run = lab.run(config, streams=["insights_users"])
    run.assert_ok()
    assert run.records("insights_users")


FAILING_LINKS = {
    "a host that is not there": "http://127.0.0.1:9/a?X-Amz-Signature=",
    "a host that has no name": "http://nowhere.invalid/a?X-Amz-Signature=",
    "a port that is none": "http://127.0.0.1:99999/a?X-Amz-Signature=",
    "no host": "http:///a?X-Amz-Signature=",
    "another scheme": "gopher://127.0.0.1/a?X-Amz-Signature=",
    "a blank": "http://127.0.0.1:9/a b?X-Amz-Signature=",
    "a line end": "http://127.0.0.1:9/a\nb?X-Amz-Signature=",
    "brackets": "http://[::1/a?X-Amz-Signature=",
    "the signature as the path": "http://127.0.0.1:9/X-Amz-Signature/",
    "the signature as the user": "http://sig@127.0.0.1:9/a?X-Amz-Signature=",
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, ("insights", "data_connector")[n % 2]) for n, name in enumerate(FAILING_LINKS)],
)
def test_a_link_that_cannot_be_followed_is_not_printed(lab, name, api):
    """A link that cannot be followed is spoken of without its signature."""
    from support.attack import set_links

    lab.plant(SIGNATURE)
    set_links(lab.front, api, lambda _: FAILING_LINKS[name] + SIGNATURE)
    run = lab.run(lab.config(api), streams=STREAMS[api][:1])
    assert run.code == 1
    run.assert_sentence()


@pytest.mark.parametrize("arguments", [["doctor", "--json"], ["doctor"], ["schema"]], ids=" ".join)
def test_the_companion_prints_no_secret_of_a_run(lab, arguments):
    """What the companion's commands print holds no secret, in JSON neither."""
    name = arguments[0]
    config = lab.config() if name == "doctor" else None
    more = [] if name == "doctor" else ["--api-url", f"http://user:{PASSWORD}@{lab.front.netloc}"]
    lab.plant(PASSWORD)
    lab.front.on("* /tokenflex/*", hostile.answer(403, json.dumps({"detail": lab.access_token})))
    lab.run(config, *arguments, *more, program=COMPANION)


PERSON = "Zoe.Planted@firm-example.test"
PEOPLE = {
    "an alias of a team": (
        "GET /insights/v1/contexts",
        lambda entries: [{**e, "alias": f"{PERSON} {n}"} for n, e in enumerate(entries)],
    ),
    "a name that is a person": (
        "GET /insights/v1/contexts",
        lambda entries: [{**entry, "members": {PERSON: {"role": "admin"}}} for entry in entries],
    ),
    "an unknown status": (
        "GET /tokenflex/v1/contract",
        lambda entries: [{**entry, "isActive": PERSON} for entry in entries],
    ),
    "a name of a file": (
        "GET /data-connector/v1/accounts/*/data-listing",
        lambda files: [*files, {**files[0], "name": f"{PERSON}.csv"}],
    ),
}


@pytest.mark.parametrize("form", [[], ["--json"]], ids=lambda form: " ".join(form) or "Markdown")
@pytest.mark.parametrize("name", PEOPLE)
def test_a_report_of_shapes_holds_no_value(lab, name, form):
    """`autodesk-exports shapes` reports names and kinds, and no value, person or ID."""
    pattern, change = PEOPLE[name]
    lab.hashed.append(PERSON)
    lab.front.on(pattern, hostile.edit(change))
    run = lab.run(lab.config(), "shapes", *form, program=COMPANION)
    assert run.raw
    for value in (lab.sandbox.account_id, "@example.com", "Studio"):
        assert value not in run.raw.decode()


FILES_OF_PEOPLE = {
    "a file without a header": csv_bytes([["North", PERSON, "User"]] * 3),
    "a page": f"<html><body>{PERSON}</body></html>".encode(),
    "an error in JSON": json.dumps({"error": f"{PERSON} is locked", PERSON: 1}).encode(),
    "a header in the second line": csv_bytes([[PERSON], ["team_alias", "email"], ["a", "b"]]),
}


@pytest.mark.parametrize("name", FILES_OF_PEOPLE)
def test_a_report_of_shapes_holds_no_cell(lab, name):
    """`autodesk-exports shapes` shows no cell of a file in the place of a column's name."""
    lab.hashed.append(PERSON)
    serve_bytes(lab, INSIGHTS, FILES_OF_PEOPLE[name])
    serve_bytes(lab, "tokenflex", FILES_OF_PEOPLE[name])
    run = lab.run(lab.config(INSIGHTS, "tokenflex"), "shapes", program=COMPANION)
    assert run.raw


def test_an_error_in_a_report_of_shapes_holds_no_person(lab):
    """`autodesk-exports shapes` reports a refusal without the API's own words about a person."""
    lab.hashed.append(PERSON)
    body = json.dumps({"developerMessage": f"{PERSON} has no access", "title": PERSON})
    lab.front.on("GET /insights/*", hostile.answer(403, body))
    run = lab.run(lab.config(INSIGHTS), "shapes", program=COMPANION)
    assert run.code == 1


def test_everything_at_debug_level_tells_no_link(lab):
    """A run of all three APIs at DEBUG prints no token and no link."""
    streams = [name for api in STREAMS for name in STREAMS[api]]
    run = lab.run(lab.config(), streams=streams)
    run.assert_ok()
    assert POINTS["insights"]["file"]
    assert len([request for request in lab.front.requests if "Signature" in request.url]) >= 6
