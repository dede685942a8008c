"""Kind 1: what opens a door stays with the host that it is for."""

from __future__ import annotations

import signal
from urllib.parse import urlencode

import pytest

from support import hostile
from support.attack import APIS, COMPANION, POINTS, STREAMS, TOKEN, set_links
from support.hostile import redirect
from support.login import Login

pytestmark = pytest.mark.kind(1)

HOST = "developer.autodesk.test"
STORAGE = "storage.autodesk.test"
CODES = (301, 302, 303, 307, 308)
ELSEWHERE = {
    "another port": "http://{stranger}/x",
    "another name of this host": "http://localhost:{port}/x",
    "another scheme": "https://{front}/x",
    "no scheme": "//{stranger}/x",
    "a user in front": "http://admin:pass@{stranger}/x",
    "our host as the user": "http://{front}@{stranger}/x",
    "backslashes": "http:\\\\{stranger}\\x",
    "a slash and a backslash": "/\\{stranger}/x",
    "a scheme in capitals": "HTTP://{stranger}/x",
    "an address in decimal": "http://2130706433:{stranger_port}/x",
    "an address in IPv6": "http://[::ffff:127.0.0.1]:{stranger_port}/x",
    "a tab in the scheme": "ht\ttp://{stranger}/x",
    "a blank in front": " http://{stranger}/x",
}


def elsewhere(lab, name):
    return ELSEWHERE[name].format(
        stranger=lab.stranger.netloc,
        stranger_port=lab.stranger.port,
        front=lab.front.netloc,
        port=lab.front.port,
    )


def assert_stayed(lab):
    assert lab.stranger.requests == [], lab.stranger.requests[0].everything()
    foreign = [request for request in lab.front.requests if request.host != lab.front.netloc]
    assert foreign == [], foreign[0].everything()


def assert_bare(requests):
    """Check that nothing of ours went along."""
    for request in requests:
        names = {name.lower() for name, _ in request.headers}
        assert not names & {"authorization", "adsk-pat", "cookie", "proxy-authorization"}, names
        assert "Signature" not in request.header("Referer"), request.header("Referer")


REDIRECTED = [
    *((code, "another port", "list", "insights") for code in CODES),
    *((302, name, "list", "insights") for name in ELSEWHERE if name != "another port"),
    *(
        (code, name, point, api)
        for code, name, (point, api) in zip(
            CODES * 2,
            ("another port", "no scheme", "another name of this host") * 4,
            (
                ("poll", "insights"),
                ("list", "tokenflex"),
                ("poll", "tokenflex"),
                ("list", "data_connector"),
                ("poll", "data_connector"),
                ("link", "data_connector"),
            ),
            strict=False,
        )
    ),
]


@pytest.mark.parametrize(
    ("code", "where", "point", "api"),
    REDIRECTED,
    ids=[f"{code} for the {p} of {a} to {w}" for code, w, p, a in REDIRECTED],
)
@pytest.mark.short(
    "302 for the list of insights to another port",
    "302 for the list of insights to another name of this host",
)
def test_a_call_is_not_redirected_to_another_origin(lab, code, where, point, api):
    """A call of an API follows no redirect to another host, scheme or port."""
    lab.front.on(POINTS[api][point], redirect(code, elsewhere(lab, where)))
    flow = lab.with_pat if api == "insights" else {}
    run = lab.run(lab.config(api, **flow), streams=STREAMS[api])
    assert_stayed(lab)
    run.assert_sentence("redirect|elsewhere|another (host|address)|" + str(code))


POSTED = [
    *(("insights", code, "here") for code in CODES),
    *(("tokenflex", code, "here") for code in (302, 307)),
    *(("data_connector", code, "here") for code in (303, 308)),
    *(("insights", code, "another port") for code in (301, 307, 308)),
    ("tokenflex", 308, "no scheme"),
    ("data_connector", 307, "another name of this host"),
]


@pytest.mark.parametrize(
    ("api", "code", "where"), POSTED, ids=[f"{c} of {a} to {w}" for a, c, w in POSTED]
)
@pytest.mark.short("307 of insights to here")
def test_a_post_is_never_repeated_by_a_redirect(lab, api, code, where):
    """A POST is never repeated by a redirect, on the same host either."""
    location = f"{lab.front.url}/repeated" if where == "here" else elsewhere(lab, where)
    lab.front.on(POINTS[api]["submit"], redirect(code, location))
    lab.front.on("POST /repeated", hostile.json_answer({"id": "x", "requestKey": "x"}))
    run = lab.run(lab.config(api), streams=STREAMS[api][:1])
    assert lab.front.seen("POST /repeated") == []
    assert_stayed(lab)
    assert len(lab.front.seen(POINTS[api]["submit"])) == 1
    run.assert_sentence("redirect|elsewhere|another (host|address)|" + str(code))


SIGNED_IN = [
    *(("a client secret", "with_pat", code, "another port") for code in CODES),
    *(("a refresh token", "with_refresh_token", code, "another port") for code in CODES),
    ("a refresh token", "with_refresh_token", 307, "here"),
    ("a refresh token", "with_refresh_token", 308, "another name of this host"),
    ("a client secret", "with_pat", 307, "no scheme"),
    ("a client secret", "with_pat", 308, "another scheme"),
]


@pytest.mark.parametrize(
    ("flow", "code", "where"),
    [case[1:] for case in SIGNED_IN],
    ids=[f"{name}, {code} to {where}" for name, _, code, where in SIGNED_IN],
)
@pytest.mark.short("a refresh token, 307 to another port")
def test_a_sign_in_is_not_redirected(lab, flow, code, where):
    """What a sign-in sends goes to the token endpoint and nowhere else."""
    location = f"{lab.front.url}/repeated" if where == "here" else elsewhere(lab, where)
    lab.front.on(f"POST {TOKEN}", redirect(code, location))
    config = lab.config("insights", **getattr(lab, flow))
    run = lab.run(config, streams=STREAMS["insights"])
    assert lab.front.seen("* /repeated") == []
    assert_stayed(lab)
    run.assert_sentence("redirect|elsewhere|another (host|address)|" + str(code))


@pytest.mark.parametrize(("command", "code"), [("doctor", 302), ("doctor", 307), ("shapes", 302)])
def test_the_companion_keeps_credentials_as_well(lab, command, code):
    """The companion's commands follow no redirect to another host either."""
    lab.front.on("GET /insights/*", redirect(code, lab.stranger.url))
    lab.front.on("GET /tokenflex/*", redirect(code, f"//{lab.stranger.netloc}/x"))
    lab.front.on("GET /data-connector/*", redirect(code, lab.stranger.url))
    run = lab.run(lab.config(**lab.with_pat), command, program=COMPANION)
    assert_stayed(lab)
    assert run.code == 1


# What lies about in the home folder.

NETRC = "machine 127.0.0.1 login somebody password NetrcPassword-1\n"
NETRC_FILES = {
    ".netrc in the home folder": (".netrc", NETRC, {}),
    "_netrc in the home folder": ("_netrc", NETRC, {}),
    "NETRC in the environment": ("elsewhere", NETRC, {"NETRC": "{home}/elsewhere"}),
    "a default entry": (".netrc", "default login somebody password NetrcPassword-1\n", {}),
    "a damaged file": (".netrc", "machine 127.0.0.1 login\nNetrcPassword-1 \x00", {}),
}


@pytest.mark.parametrize(
    ("name", "api"), [(name, APIS[n % len(APIS)]) for n, name in enumerate(NETRC_FILES)]
)
def test_netrc_is_not_read(lab, name, api):
    """A .netrc is not read: neither for the APIs, nor for sign-in, nor for downloads."""
    file, text, env = NETRC_FILES[name]
    lab.plant("NetrcPassword-1")
    path = lab.home / file
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    given = {key: value.format(home=lab.home) for key, value in env.items()}
    run = lab.run(lab.config(api, **lab.with_refresh_token), streams=STREAMS[api], env=given)
    run.assert_ok()
    for request in lab.front.requests:
        # The app's own name and secret may stand there: those of the file may not.
        assert "NetrcPassword-1" not in decoded(request.header("Authorization"))
    assert_bare(lab.front.seen(POINTS[api]["file"]))


def decoded(header):
    import base64

    kind, _, value = header.partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else header


# Links.


@pytest.fixture
def proxied(lab, certificates):
    """`proxied(api, **config)` runs the tap against https://developer.autodesk.test, by a proxy.

    That is a host elsewhere, for all that the tap can know.
    """
    inner = certificates.context(
        HOST, STORAGE, "*.autodesk.test", "localhost", "localhost.", "127.0.0.1", "169.254.169.254"
    )
    lab.proxy = lab.server(lab.sandbox.url, inner_tls=inner)
    env = {
        "HTTPS_PROXY": lab.proxy.url,
        "HTTP_PROXY": lab.proxy.url,
        "REQUESTS_CA_BUNDLE": str(certificates.bundle),
    }

    def run(api, env=env, **config):
        settings = lab.config(api, api_url=f"https://{HOST}", **config)
        return lab.run(settings, streams=STREAMS[api][:1], env=env)

    return run


def went_to(proxy):
    """The hosts that the proxy was asked for."""
    return {request.host.rpartition(":")[0] or request.host for request in proxy.requests}


@pytest.mark.parametrize("api", APIS)
def test_a_proxy_of_the_environment_is_used(lab, proxied, api):
    """Proxies are read from the environment, and a link to another host is followed bare."""
    set_links(lab.proxy, api, lambda link: link.replace(HOST, STORAGE))
    run = proxied(api)
    run.assert_ok()
    assert run.records(STREAMS[api][0])
    assert STORAGE in went_to(lab.proxy)
    assert_bare(request for request in lab.proxy.requests if request.host.startswith(STORAGE))


@pytest.mark.parametrize("api", APIS)
def test_credentials_of_a_proxy_go_to_the_proxy_alone(lab, proxied, certificates, api):
    """What a proxy is signed in with goes to the proxy, and to no host behind it."""
    lab.plant("ProxyPassword-0123")
    url = lab.proxy.url.replace("://", "://somebody:ProxyPassword-0123@")
    env = {"HTTPS_PROXY": url, "REQUESTS_CA_BUNDLE": str(certificates.bundle)}
    proxied(api, env=env).assert_ok()
    behind = [request for request in lab.proxy.requests if request.method != "CONNECT"]
    assert behind
    assert not [request for request in behind if request.header("Proxy-Authorization")]


FORBIDDEN = {
    "no TLS": "http://storage.autodesk.test/file",
    "no TLS on our own host": "http://developer.autodesk.test/storage/file",
    "ftp": "ftp://storage.autodesk.test/file",
    "a file": "file:///etc/passwd",
    "data": "data:text/csv,email%0Ax",
    "no scheme": "//storage.autodesk.test/file",
    "a path": "/storage/file",
    "127.0.0.1": "https://127.0.0.1/file",
    "127.0.0.1 with a port": "https://127.0.0.1:8443/file",
    "127.1": "https://127.1/file",
    "127.8.8.8": "https://127.8.8.8/file",
    "127.0.0.1 with a dot": "https://127.0.0.1./file",
    "127.0.0.1 in decimal": "https://2130706433/file",
    "127.0.0.1 in hexadecimal": "https://0x7f000001/file",
    "127.0.0.1 in hexadecimal parts": "https://0x7f.0.0.1/file",
    "127.0.0.1 in octal": "https://0177.0.0.1/file",
    "127.0.0.1 in wide digits": "https://\uff11\uff12\uff17.0.0.1/file",
    "127.0.0.1 in IPv6": "https://[::ffff:127.0.0.1]/file",
    "127.0.0.1 in IPv6, hexadecimal": "https://[::ffff:7f00:1]/file",
    "::1": "https://[::1]/file",
    "::1 in full": "https://[0000:0000:0000:0000:0000:0000:0000:0001]/file",
    "::": "https://[::]/file",
    "localhost": "https://localhost/file",
    "localhost with a dot": "https://localhost./file",
    "localhost in capitals": "https://LocalHost/file",
    "a name below localhost": "https://storage.localhost/file",
    "0.0.0.0": "https://0.0.0.0/file",  # noqa: S104
    "0": "https://0/file",
    "169.254.169.254": "https://169.254.169.254/latest/meta-data",
    "169.254.169.254 without TLS": "http://169.254.169.254/latest/meta-data",
    "169.254.169.254 in decimal": "https://2852039166/latest/meta-data",
    "169.254.169.254 in hexadecimal": "https://0xa9fea9fe/latest/meta-data",
    "169.254.169.254 in IPv6": "https://[::ffff:169.254.169.254]/latest/meta-data",
    "another link-local address": "https://169.254.0.7/file",
    "a link-local address in IPv6": "https://[fe80::1]/file",
    "a link-local address with its zone": "https://[fe80::1%25eth0]/file",
    "127.0.0.1 behind a user": "https://storage.autodesk.test@127.0.0.1/file",
    "127.0.0.1 behind a user and a password": "https://storage:x@127.0.0.1/file",
    "127.0.0.1 behind a backslash": "https://127.0.0.1\\@storage.autodesk.test/file",
    "127.0.0.1 with a tab": "https://127.0.0\t.1/file",
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, APIS[n % len(APIS)]) for n, name in enumerate(FORBIDDEN)],
    ids=[f"{name} ({APIS[n % len(APIS)]})" for n, name in enumerate(FORBIDDEN)],
)
@pytest.mark.short(
    "no TLS (insights)",
    "127.0.0.1 in decimal (insights)",
    "169.254.169.254 in IPv6 (data_connector)",
)
def test_a_link_to_this_machine_or_without_tls_is_not_followed(lab, proxied, name, api):
    """A link is followed over https alone where the API is https, and not to this machine."""
    set_links(lab.proxy, api, lambda _: FORBIDDEN[name])
    run = proxied(api)
    assert went_to(lab.proxy) <= {HOST}, went_to(lab.proxy)
    assert not [request for request in lab.proxy.requests if request.scheme == "http"
                and request.method != "CONNECT"]  # fmt: skip
    run.assert_sentence("link|address|download|url")


@pytest.mark.parametrize(
    ("host", "api"),
    [("127.0.0.1", "insights"), ("localhost", "tokenflex"), ("127.0.0.1", "data_connector")],
)
def test_a_link_to_this_machine_is_not_followed_past_the_proxy(
    lab, proxied, certificates, host, api
):
    """A link to this machine is not followed where it would not pass the proxy either."""
    here = lab.server(tls=certificates.context("127.0.0.1", "localhost"))
    set_links(lab.proxy, api, lambda _: f"https://{host}:{here.port}/file")
    env = {
        "HTTPS_PROXY": lab.proxy.url,
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": str(certificates.bundle),
    }
    run = proxied(api, env=env)
    assert here.connections == 0
    run.assert_sentence("link|address|download|url")


# Redirects of downloads.


@pytest.mark.parametrize(
    ("code", "api"), [(code, APIS[n % len(APIS)]) for n, code in enumerate(CODES)]
)
@pytest.mark.short("302-tokenflex")
def test_a_redirected_download_carries_nothing(lab, code, api):
    """Where a download is redirected to another host, nothing of ours goes along."""
    flow = lab.with_pat if api == "insights" else {}
    target = f"http://localhost:{lab.stranger.port}/file"
    lab.front.on(POINTS[api]["file"], redirect(code, target))
    lab.stranger.on("GET /file", hostile.answer(200, b"not,a,table\n", Content_Type="text/csv"))
    lab.run(lab.config(api, **flow), streams=STREAMS[api][:1])
    assert_bare(lab.stranger.requests)
    assert not [r for r in lab.stranger.requests if r.body or r.method != "GET"]


DOWNGRADED = {
    name: FORBIDDEN[name]
    for name in (
        "no TLS", "a file", "127.0.0.1", "127.0.0.1 in decimal", "::1", "localhost with a dot",
        "0", "169.254.169.254", "169.254.169.254 without TLS", "169.254.169.254 in IPv6",
        "a link-local address in IPv6", "127.0.0.1 behind a user",
    )
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, APIS[n % len(APIS)]) for n, name in enumerate(DOWNGRADED)],
    ids=[f"{name} ({APIS[n % len(APIS)]})" for n, name in enumerate(DOWNGRADED)],
)
def test_a_download_is_not_redirected_to_where_no_link_may_lead(lab, proxied, name, api):
    """A download is redirected neither to http nor to this machine."""
    set_links(lab.proxy, api, lambda link: link.replace(HOST, STORAGE))
    lab.proxy.on(f"GET https://{STORAGE}*/*", redirect(302, DOWNGRADED[name]))
    run = proxied(api)
    assert went_to(lab.proxy) <= {HOST, STORAGE}, went_to(lab.proxy)
    assert not [request for request in lab.proxy.requests if request.scheme == "http"
                and request.method != "CONNECT"]  # fmt: skip
    assert run.code == 1


@pytest.mark.parametrize("api", APIS)
def test_a_redirected_download_to_another_host_over_tls_is_bare(lab, proxied, api):
    """A redirect of a download to another host over TLS carries nothing."""
    set_links(lab.proxy, api, lambda link: link.replace(HOST, STORAGE))

    def onwards(exchange):
        target = exchange.request.url.replace(STORAGE, "second." + STORAGE.partition(".")[2])
        redirect(302, target.replace(":443", ""))(exchange)

    lab.proxy.on(f"GET https://{STORAGE}*/*", onwards)
    proxied(api)
    assert_bare(r for r in lab.proxy.requests if not r.host.startswith(HOST) and r.method == "GET")


@pytest.mark.parametrize(
    ("api", "attributes"),
    [
        ("insights", "Path=/; Domain=autodesk.test"),
        ("tokenflex", "Path=/"),
        ("data_connector", "Path=/; Domain=.autodesk.test"),
    ],
)
def test_cookies_of_an_api_do_not_reach_the_storage(lab, proxied, api, attributes):
    """A cookie that an API sets does not go to the storage, whatever domain it names."""
    lab.plant("CookieOfTheApi-0123456789")

    def cookie(given):
        given.headers["Set-Cookie"] = f"session=CookieOfTheApi-0123456789; {attributes}"

    lab.proxy.on(f"* https://{HOST}*/*", hostile.change(cookie))
    lab.proxy.on(POINTS[api]["poll"], edit_and_cookie(api, cookie))
    lab.proxy.on(POINTS[api]["link"], edit_and_cookie(api, cookie))
    run = proxied(api)
    run.assert_ok()
    stored = [request for request in lab.proxy.requests if request.host.startswith(STORAGE)]
    assert stored
    assert_bare(stored)


def edit_and_cookie(api, cookie):
    import json

    from support.attack import with_link

    def both(given):
        cookie(given)
        if given.status < 300:
            changed = with_link(api, lambda link: link.replace(HOST, STORAGE))(given.json)
            given.body = json.dumps(changed).encode()

    return hostile.change(both)


@pytest.mark.parametrize("state", ["", "another", "null", "missing"])
def test_a_sign_in_that_somebody_else_began_is_not_taken(lab, state):
    """A callback whose `state` is not the one that was sent out is refused."""
    login = Login(lab)
    query = {"code": "CodeOfSomebodyElse-0123456789", "state": state}
    if state == "missing":
        del query["state"]
    lab.plant("CodeOfSomebodyElse-0123456789")
    login.visit(f"{login.callback}?{urlencode(query)}")
    login.attempt.send(signal.SIGINT)
    login.attempt.end(20)
    assert lab.front.seen(f"POST {TOKEN}") == []
