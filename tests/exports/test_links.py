"""Where a signed link may lead: over TLS where the API is, and not to this machine."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from support.certificates import self_signed
from support.made_up_service import FastClock
from support.raw_server import RawServer, answer
from support.storage import FINISHED, LinkService
from tap_autodesk_exports.exports import links
from tap_autodesk_exports.exports.download import MOST_REDIRECTS, Downloader, DownloadError
from tap_autodesk_exports.exports.export import ExportFile
from tap_autodesk_exports.exports.links import ForbiddenLink, Links

API = "https://developer.api.invalid"
THIS_MACHINE = [
    "127.0.0.1",
    "127.0.0.1:8443",
    "127.0.0.1.",
    "127.1",
    "127.8.8.8",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::]",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "0",
    "localhost",
    "localhost.",
    "LocalHost",
    "storage.localhost",
    "storage.invalid@127.0.0.1",
    "storage:x@127.0.0.1",
    "127.0.0.1\\@storage.invalid",
]
LINK_LOCAL = [
    "169.254.169.254",
    "169.254.0.7",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
]
NO_ADDRESS = [
    "ftp://storage.invalid/file",
    "file:///etc/passwd",
    "data:text/csv,email",
    "//storage.invalid/file",
    "/storage/file",
    "",
    "https://",
    "https://127.0.0\t.1/file",
    "https://\uff11\uff12\uff17.0.0.1/file",
    "https://storage.invalid:99999/file",
    "https://[::1/file",
]


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_a_link_to_this_machine_is_not_followed(host):
    with pytest.raises(ForbiddenLink, match="this machine"):
        Links(API).prepare(f"https://{host}/file", {})


@pytest.mark.parametrize("host", LINK_LOCAL)
def test_a_link_to_where_clouds_serve_credentials_is_not_followed(host):
    with pytest.raises(ForbiddenLink, match="link-local"):
        Links(API).prepare(f"https://{host}/latest/meta-data", {})


@pytest.mark.parametrize("link", NO_ADDRESS)
def test_what_is_no_address_of_the_web_is_not_followed(link):
    with pytest.raises(ForbiddenLink, match="no address of the web"):
        Links(API).prepare(link, {})


def test_a_link_without_tls_is_followed_only_where_the_api_has_none():
    with pytest.raises(ForbiddenLink, match="without TLS"):
        Links(API).prepare("http://storage.invalid/file", {})
    assert Links("http://api.invalid").prepare("http://storage.invalid/file", {})


@pytest.mark.parametrize("host", ["storage.invalid", "10.1.2.3", "192.168.7.7", "[2001:db8::1]"])
def test_other_hosts_are_followed_also_in_private_networks(host):
    """Storages have private addresses in the networks of some companies."""
    assert Links(API).prepare(f"https://{host}/file", {}).url == f"https://{host}/file"


def test_an_address_of_this_machine_in_its_network_counts_as_this_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    with pytest.raises(ForbiddenLink, match="this machine"):
        Links(API).prepare(f"https://{own}/file", {})


@pytest.mark.parametrize("api", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_where_the_api_is_on_this_machine_links_may_lead_to_it(api):
    assert Links(api).prepare("http://127.0.0.1:2/file", {})
    assert Links(api).prepare("https://localhost/file", {})
    with pytest.raises(ForbiddenLink, match="link-local"):
        Links(api).prepare("http://169.254.169.254/file", {})


# In a download


@pytest.fixture
def resolved(monkeypatch):
    """`resolved[name]`: the addresses that a name resolves to, one after another."""
    names = {}
    real = socket.getaddrinfo

    def resolve(host, *arguments, **named):
        if host in names:
            host = names[host].pop(0) if len(names[host]) > 1 else names[host][0]
        return real(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


def fetch(folder, link, api_url):
    downloader = Downloader(FastClock(), threading.Event(), api_url=api_url)
    service = LinkService(lambda: link)
    try:
        return downloader.fetch(service, FINISHED, ExportFile("file.csv"), folder).read_bytes()
    finally:
        assert service.links == 1  # it is not tried again


def test_a_name_that_leads_to_this_machine_is_not_followed(tmp_path, resolved):
    resolved["storage.invalid"] = ["127.0.0.1"]
    with RawServer(lambda _: [answer(b"a\n")]) as server:
        link = f"http://storage.invalid:{server.port}/file"
        with pytest.raises(
            DownloadError, match=r"leads to storage\.invalid, an address of this mac"
        ):
            fetch(tmp_path, link, "http://api.invalid")
        assert server.connections == 0


def test_a_name_that_resolves_to_another_address_once_it_was_checked_is_not_followed(
    tmp_path, resolved
):
    resolved["storage.invalid"] = ["192.0.2.7", "127.0.0.1"]
    with RawServer(lambda _: [answer(b"a\n")]) as server:
        link = f"http://storage.invalid:{server.port}/file"
        with pytest.raises(DownloadError, match=r"leads to 127.0.0.1, an address of this machine"):
            fetch(tmp_path, link, "http://api.invalid")
        assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_carries_nothing(tmp_path, status):
    def redirect(request):
        if request.path == "/first":
            location = f"http://localhost:{server.port}/second?Signature=another"
            return [answer(status=f"{status} Moved", Location=location, Set_Cookie="a=b; Path=/")]
        return [answer(b"a\n1\n")]

    with RawServer(redirect) as server:
        link = f"{server.url}/first?Signature=hidden"
        assert fetch(tmp_path, link, server.url) == b"a\n1\n"
    second = server.requests[1]
    assert second.target == "/second?Signature=another"
    assert not {"authorization", "cookie", "referer", "adsk-pat"} & second.headers.keys()
    assert "hidden" not in f"{second}"


@pytest.mark.parametrize("target", ["http://storage.invalid/", "https://127.0.0.1/", "//[::1]/x"])
def test_no_redirect_leads_where_no_link_may(tmp_path, monkeypatch, target):
    """Behind TLS, to plain HTTP; from elsewhere, to this machine."""
    path, context = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    # As if the server, and not the one in the redirect, were elsewhere.
    real = links.place_of
    here = []
    monkeypatch.setattr(links, "place_of", lambda address: real(address) if here else "")

    def redirect(_):
        here.append(True)
        return [answer(status="302 Found", Location=target)]

    not_followed = pytest.raises(DownloadError, match="and is not followed")
    with RawServer(redirect, tls=context) as server, not_followed:
        fetch(tmp_path, f"{server.url}/file", API)
    assert len(server.requests) == 1


def test_redirects_end(tmp_path):
    redirect = answer(status="302 Found", Location="/again")
    with RawServer(lambda _: [redirect]) as server:
        service = LinkService(lambda: f"{server.url}/file")
        downloader = Downloader(FastClock(), threading.Event(), api_url=server.url)
        downloader._failed.add(FINISHED.export_id)  # one try
        with pytest.raises(DownloadError, match="redirects without end"):
            downloader.fetch(service, FINISHED, ExportFile("file.csv"), tmp_path)
    assert len(server.requests) == MOST_REDIRECTS


def test_tls_is_still_checked(tmp_path):
    _, context = self_signed(tmp_path)
    assert isinstance(context, ssl.SSLContext)
    with RawServer(lambda _: [answer(b"a\n")], tls=context) as server:
        downloader = Downloader(FastClock(), threading.Event(), api_url=server.url)
        service = LinkService(lambda: f"{server.url}/file")
        with pytest.raises(DownloadError, match="REQUESTS_CA_BUNDLE") as caught:
            downloader.fetch(service, FINISHED, ExportFile("file.csv"), tmp_path)
    host = server.url.removeprefix("https://")
    said = f"certificate of the storage at {host} was not accepted (self-signed"
    assert said in str(caught.value)
    assert service.links == 1  # another try would fail in the same way
    assert server.requests == []
