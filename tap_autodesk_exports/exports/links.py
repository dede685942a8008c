"""Where a signed link may lead, and each redirect of it.

A link comes from the API, so whoever could answer in its place could have this process read what
only this machine can reach. Therefore: over TLS where the API is, and to no address of this machine
or of its link-local network, where clouds serve credentials, unless the API is there too.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.transport.exchange import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

THIS_MACHINE = "an address of this machine"
LINK_LOCAL = "an address of the link-local network, where clouds serve credentials"
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Addresses beyond the link-local ones at which clouds serve what is for one machine (documented:
AWS over IPv6, Alibaba, Azure, Oracle)."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for an IPv4 address (RFC 6052)."""
_DISCARD = 9
"""A port for a socket that sends nothing."""
_NAMES = {"localhost": THIS_MACHINE, "metadata.google.internal": LINK_LOCAL}


class ForbiddenLink(TapError):
    """A link leads where none is followed; the text is a clause that says where."""


class Links:
    """Links of one API.

    Args:
        api_url: Where the API is.
    """

    def __init__(self, api_url: str) -> None:
        self._api = urlsplit(api_url)

    def prepare(self, link: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
        """Return a request for a link, with nothing else than these headers.

        Raises:
            ForbiddenLink: It leads where no link is followed.
        """
        try:
            request = prepare("GET", link, headers=headers)
            parts = urlsplit(request.url or "")
            host = parts.hostname
        except (requests.RequestException, ValueError):
            host = None
        if not host or parts.scheme not in {"http", "https"}:
            msg = "is no address of the web"
            raise ForbiddenLink(msg)
        if parts.scheme != "https" and self._api.scheme == "https":
            msg = f"leads to {host} without TLS, which the API uses"
            raise ForbiddenLink(msg)
        for place in _places_of(host):
            self._check(host, place)
        return request

    def connected(self, connection: socket.socket) -> None:
        """Check where a connection has led: a name may resolve to another address by then.

        Raises:
            ForbiddenLink: It is a place where no link is followed.
        """
        address = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
        self._check(str(address), place_of(address))

    def _check(self, host: str, place: str) -> None:
        if place and place not in self._places_of_the_api:
            msg = f"leads to {host}, {place}"
            raise ForbiddenLink(msg)

    @functools.cached_property
    def _places_of_the_api(self) -> frozenset[str]:
        return frozenset(_places_of(self._api.hostname or ""))


def _places_of(host: str) -> Iterator[str]:
    """Yield at which of the forbidden places a host is, by its name and by its addresses."""
    plain = host.partition("%")[0].rstrip(".").lower()
    if plain in _NAMES:
        yield _NAMES[plain]
    if plain.endswith(".localhost"):
        yield THIS_MACHINE
    yield from map(place_of, addresses_of(plain))


def addresses_of(host: str) -> list[Address]:
    """Return the addresses of a host, in whatever form it is written; none where it has none.

    Behind a proxy it may be the proxy alone that can resolve names.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    texts = {str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found}
    return [ipaddress.ip_address(text) for text in texts]


def place_of(address: Address) -> str:
    """Return which of the forbidden places an address is at; empty for any other."""
    if isinstance(address, ipaddress.IPv6Address):
        meant = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            meant = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if meant:
            return place_of(meant)
    if address.is_loopback or address.is_unspecified or str(address).startswith("0."):
        return THIS_MACHINE
    if address.is_link_local or address in METADATA:
        return LINK_LOCAL
    return THIS_MACHINE if _is_own(address) else ""


def _is_own(address: Address) -> bool:
    """Tell whether an address belongs to this machine: it is then its own nearest one.

    Nothing is sent: connecting a datagram socket only looks up the route.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False
