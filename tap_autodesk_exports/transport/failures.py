"""Why a request had no answer, in words.

The texts of the libraries' errors are not shown: they hold URLs, some with signatures in them.
"""

from __future__ import annotations

import dataclasses
import errno
import re
import ssl
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tap_autodesk_exports.transport.exchange import (
    NoBundle,
    NoHandshake,
    TookTooLong,
    TooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BUNDLES = "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_NETWORK = "Check the network, the proxy and `api_url`."


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there is no answer.

    Attributes:
        what: What happened, as a clause.
        advice: What to do about it, in sentences.
        was_sent: Whether the server may have got the request.
        is_lasting: Whether another try would fail in the same way.
        is_silence: Whether the server was there and took too long.
    """

    what: str
    advice: str = _NETWORK
    was_sent: bool = True
    is_lasting: bool = False
    is_silence: bool = False


def explain(error: requests.RequestException, host: str) -> Failure:
    """Return why an exchange with a host failed.

    Args:
        error: A `requests.RequestException`.
        host: The host, as it may be shown.
    """
    causes = list(_causes(error))
    if any(isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES for cause in causes):
        return Failure(
            "this process may open no more files",
            "Allow it more (`ulimit -n`).",
            was_sent=False,  # no file is opened between a request and its answer
            is_lasting=True,
        )
    for kinds, failure in _FAILURES:
        if any(isinstance(cause, kinds) for cause in causes):
            return failure(causes, host)
    return Failure(f"the answer of {host} broke off")


def _of_the_proxy(causes: list[BaseException], _: str) -> Failure:
    if any(re.search(r"\b407\b", str(cause)) for cause in causes):
        return Failure(
            "the proxy asks for credentials (407)",
            PROXY_CREDENTIALS,
            was_sent=False,
            is_lasting=True,
        )
    return Failure(
        "the proxy cannot be reached, or it refused to connect",
        "Check the environment variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        was_sent=False,
    )


PROXY_CREDENTIALS = (
    "Write them into the proxy's URL in the environment variable HTTPS_PROXY or HTTP_PROXY: "
    "http://user:password@host:port."
)


def _of_tls(causes: list[BaseException], host: str) -> Failure:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                f"the certificate of {host} was not accepted ({cause.verify_message.rstrip('.')})",
                "If a proxy of your company opens TLS connections, name the file with its CA "
                "certificates in the environment variable REQUESTS_CA_BUNDLE; otherwise check "
                "this machine's clock and, where the host is that of the API, `api_url`.",
                was_sent=False,
                is_lasting=True,
            )
    reasons = {cause.reason for cause in causes if isinstance(cause, ssl.SSLError)}
    if "NO_CERTIFICATE_OR_CRL_FOUND" in reasons:
        return Failure(
            "the file with CA certificates that the environment names holds none",
            f"Check the environment variable {_BUNDLES}.",
            was_sent=False,
            is_lasting=True,
        )
    reason = next((reason for reason in reasons if reason), "TLS failed")
    return Failure(
        f"no TLS connection to {host} could be made ({reason.replace('_', ' ').lower()})",
        "Check that `api_url` begins with the right scheme, and the proxy.",
        # What fails later than the handshake looks the same, but for the answer to no TLS at all.
        was_sent=reason != "WRONG_VERSION_NUMBER",
    )


def _without_socks(_: list[BaseException], __: str) -> Failure:
    return Failure(
        "the proxy is one that this tap cannot use (SOCKS)",
        "Name an HTTP proxy in the environment variables HTTPS_PROXY and HTTP_PROXY.",
        was_sent=False,
        is_lasting=True,
    )


def _without_a_bundle(_: list[BaseException], __: str) -> Failure:
    return Failure(
        "the file with CA certificates that the environment names is not there",
        f"Check the environment variable {_BUNDLES}.",
        was_sent=False,
        is_lasting=True,
    )


def _too_large(causes: list[BaseException], host: str) -> Failure:
    return Failure(
        f"{host} answered with {causes[0]}, which is none of its documented answers",
        "Check `api_url`, and whether a proxy answers in its place.",
        is_lasting=True,
    )


def _no_proxy(_: list[BaseException], __: str) -> Failure:
    return Failure(
        "the URL of the proxy in the environment cannot be used",
        "Write http://host:port into the environment variable HTTPS_PROXY or HTTP_PROXY.",
        was_sent=False,
        is_lasting=True,
    )


def _no_host(_: list[BaseException], host: str) -> Failure:
    return Failure(f"{host} is no host", "Check `api_url`.", was_sent=False, is_lasting=True)


def _unresolved(_: list[BaseException], host: str) -> Failure:
    return Failure(f"the name {host} cannot be resolved", was_sent=False)


def _unreachable(_: list[BaseException], host: str) -> Failure:
    return Failure(f"{host} cannot be reached", was_sent=False)


def _no_handshake(_: list[BaseException], host: str) -> Failure:
    return Failure(
        f"no TLS connection to {host} could be made in time",
        "Check that `api_url` begins with the right scheme, the network and the proxy.",
        was_sent=False,
        is_silence=True,
    )


def _silent(causes: list[BaseException], host: str) -> Failure:
    how = f" ({causes[0]})" if isinstance(causes[0], TookTooLong) else ""
    return Failure(f"{host} did not answer in time{how}", is_silence=True)


_FAILURES: tuple[
    tuple[tuple[type[BaseException], ...], Callable[[list[BaseException], str], Failure]], ...
] = (
    ((requests.exceptions.ProxyError,), _of_the_proxy),
    ((requests.exceptions.SSLError,), _of_tls),
    ((requests.exceptions.InvalidSchema,), _without_socks),
    ((requests.exceptions.InvalidProxyURL,), _no_proxy),
    ((requests.exceptions.InvalidURL, requests.exceptions.MissingSchema), _no_host),
    ((NoBundle,), _without_a_bundle),
    ((TooLarge,), _too_large),
    ((NameResolutionError,), _unresolved),
    ((NewConnectionError, ConnectTimeoutError), _unreachable),
    ((NoHandshake,), _no_handshake),
    ((requests.Timeout, TimeoutError), _silent),
)
"""What an error or one of its causes is -> what to say of it; the first that fits."""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, as far as the libraries tell."""
    for _ in range(10):
        if error is None:
            return
        yield error
        reason = getattr(error, "reason", None) or getattr(error, "original_error", None)
        inner = [part for part in (reason, *error.args) if isinstance(part, BaseException)]
        error = inner[0] if inner else error.__cause__ or error.__context__
