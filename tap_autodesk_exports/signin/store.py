"""Where rotated refresh tokens live between runs.

A file of JSON, readable by its owner alone: the name of a chain (see `Credentials.chain`) -> its
newest tokens. Chains that are older than a refresh token's life are dropped when another is
written. The lock holds between processes of one machine.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import filelock
import platformdirs
from upath import UPath

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.redaction import secrets_of, without_secrets
from tap_autodesk_exports.settings.storages import missing_extra
from tap_autodesk_exports.signin.endpoint import Token
from tap_autodesk_exports.signin.errors import SignInError, StoreError
from tap_autodesk_exports.workspace import own_name

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("tap-autodesk-exports")

logging.getLogger("upath").setLevel(logging.INFO)  # at DEBUG it logs URLs whole

LIFE_DAYS = 15
"""Documented: a refresh token that is not used dies after 15 days."""
LOCK_SECONDS = 300
"""Longer than one renewal can take, all its attempts included."""
RESERVED = 65536
"""Bytes set aside before a token is used up, so that a full disk cannot lose its successor."""

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)  # Windows would write other line ends
)


def default_location(client_id: str) -> str:
    """Return the path of an app's store in the user's state folder."""
    name = hashlib.sha256(client_id.encode()).hexdigest()[:16]
    return str(platformdirs.user_state_path("tap-autodesk-exports") / f"{name}.json")


class TokenStore:
    """A store at a path or a URL.

    Args:
        location: A path, or a URL that fsspec knows, such as `s3://bucket/tokens.json`.

    Attributes:
        location: The location as it can be shown: without a password.
        secrets: What of it no log may show.

    Raises:
        ConfigurationError: It is neither.
    """

    def __init__(self, location: str) -> None:
        self.location = without_secrets(location)
        self.secrets = secrets_of(location)
        self._name = hashlib.sha256(location.encode()).hexdigest()[:16]
        try:
            place = UPath(location).expanduser()
            self._path = Path(place.path).resolve()
        except (ValueError, ImportError, RuntimeError) as error:
            msg = (
                f"Setting 'token_store' ({self.location}) is neither a path nor a URL that fsspec "
                f"knows ({str(error).replace(location, self.location)}): write s3://… and the "
                "like, and install the package for it."
            )
            raise ConfigurationError(msg) from None
        if extra := missing_extra(location):
            msg = (
                f"Setting 'token_store' ({self.location}) needs a package that is not installed: "
                f"install 'tap-autodesk-exports[{extra}]'."
            )
            raise ConfigurationError(msg)
        self._remote = place.protocol not in {"", "file", "local"}
        self._place = place if self._remote else self._path
        self._next = self._path.with_name(f".{self._path.name}.next")
        self._reserved: BinaryIO | None = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process of this machine away from the store.

        Raises:
            SignInError: Another process holds it for too long.
            StoreError: The lock cannot be made.
        """
        try:
            self._check_place()
            place = self._lock_path()
            if not place.exists():
                place.touch(mode=0o600)  # where no file can be made, filelock would wait
            lock = filelock.FileLock(place, timeout=LOCK_SECONDS, mode=0o600)
            lock.acquire()
        except filelock.Timeout:
            msg = (
                f"The token store {self.location} has been locked by another process for "
                f"{LOCK_SECONDS} s. Nothing was used up: end that process, or run again later."
            )
            raise SignInError(msg) from None
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._recover()
            yield
        finally:
            self._discard()
            lock.release()

    def check(self) -> None:
        """Make sure that the store can be written, before a person is asked to sign in.

        Raises:
            SignInError: It cannot.
        """
        with self.locked():
            self.reserve()

    def read(self, chain: str) -> Token | None:
        """Return a chain's newest token, or None where there is none.

        Raises:
            SignInError: It holds something else.
            StoreError: The store is there and cannot be read.
        """
        entry = self._document()["chains"].get(chain)
        if entry is None:
            return None
        token = _loaded(entry)
        if token is None:
            logger.warning(
                "The token store %s holds a damaged entry for this app: it is ignored.",
                self.location,
            )
        return token

    def reserve(self) -> None:
        """Make sure that the next `write` has room and permission, before a token is used up.

        Raises:
            StoreError: The store cannot be written.
        """
        document = self._document()
        if self._remote:
            self._write_remote(json.dumps(document, indent=1))
            return
        try:
            self._reserved = os.fdopen(os.open(self._next, _NEW_FILE, 0o600), "wb")
            self._reserved.write(b" " * RESERVED)
            self._reserved.flush()
            os.fsync(self._reserved.fileno())
        except OSError as error:
            raise self._unusable(error) from None

    def write(self, chain: str, token: Token, now: dt.datetime) -> None:
        """Put a chain's newest token in its place, whole or not at all; to be reserved before.

        Raises:
            StoreError: The store cannot be written.
        """
        document = self._document()
        oldest = now - dt.timedelta(days=LIFE_DAYS)
        # An entry whose age cannot be read is kept: it may be another's, and it may be of use.
        document["chains"] = {
            name: entry
            for name, entry in document["chains"].items()
            if (stored := _instant(entry, "stored_at")) is None or stored > oldest
        }
        document["chains"][chain] = _dumped(token, now)
        text = json.dumps(document, indent=1)
        if self._remote:
            self._write_remote(text)
            return
        try:
            self._replace(text.encode())
        except OSError as error:
            raise self._unusable(error) from None

    def _replace(self, content: bytes) -> None:
        """Fill the reserved file, and rename it over the store."""
        if self._reserved is None:
            raise AssertionError
        self._reserved.seek(0)
        self._reserved.write(content)
        self._reserved.truncate()
        self._reserved.flush()
        os.fsync(self._reserved.fileno())
        self._reserved.close()  # Windows renames no file that is open
        # From here on the next file is whole: should the renaming fail, the next run finds it.
        self._reserved = None
        self._install(content)

    def _install(self, content: bytes) -> None:
        """Rename the next file over the store.

        A store that is mounted by itself, as containers do, cannot be renamed over: it is written
        in its place, and the next file stays until that is done.
        """
        try:
            self._next.replace(self._path)
        except OSError:
            with self._path.open("r+b") as file:
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            self._next.unlink(missing_ok=True)
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _write_remote(self, text: str) -> None:
        try:
            self._place.write_text(text, encoding="utf-8")
        except Exception as error:  # noqa: BLE001  # every fsspec backend has its own errors
            raise self._unusable(error) from None

    def _recover(self) -> None:
        """Finish what a killed process left: a whole next file is newer than the store."""
        if self._remote:
            return
        try:
            left = self._next.read_bytes()
            if _parsed(left) is not None:
                self._install(left)
            self._next.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from None

    def _discard(self) -> None:
        """Give back what `reserve` set aside."""
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
            self._next.unlink(missing_ok=True)

    def _document(self) -> dict[str, Any]:
        """Return what the store holds, what a newer release added included.

        Raises:
            SignInError: It holds something else.
            StoreError: It is there and cannot be read.
        """
        try:
            content = self._place.read_bytes()
        except FileNotFoundError:
            content = b""
        except Exception as error:  # noqa: BLE001  # every fsspec backend has its own errors
            raise self._unusable(error) from None
        if not content.strip():
            return {"version": 1, "chains": {}}
        document = _parsed(content)
        if document is None:
            msg = (
                f"The token store {self.location} holds something else than tokens: set "
                "'token_store' to another place, or delete it and sign in again with "
                "`autodesk-exports login`."
            )
            raise SignInError(msg)
        return document

    def _check_place(self) -> None:
        """Refuse what is there and no file: reading a device or a pipe may have no end.

        Raises:
            OSError: It is one.
        """
        for path in () if self._remote else (self._path, self._next):
            if path.exists() and not path.is_file():
                raise OSError(errno.EINVAL, "it is no file")

    def _lock_path(self) -> Path:
        """Return the lock's place: beside a file; for a URL in this machine's temporary folder."""
        if self._remote:
            return Path(tempfile.gettempdir()) / f"{own_name()}-{self._name}.lock"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._path.with_name(self._path.name + ".lock")

    def _unusable(self, error: Exception) -> StoreError:
        reason = str(error) if isinstance(error, ImportError) else getattr(error, "strerror", None)
        return StoreError(
            f"The token store {self.location} cannot be used ({type(error).__name__}"
            f"{f': {reason}' if reason else ''}): set 'token_store' to a place that can be read "
            "and written, and that outlives the run."
        )


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return the document that a store's content is; None where it is something else."""
    try:
        document = read_json(content)
    except ValueError:
        return None
    holds_chains = isinstance(document, dict) and isinstance(document.get("chains"), dict)
    return document if holds_chains else None


def _dumped(token: Token, now: dt.datetime) -> dict[str, str | None]:
    return {
        "refresh_token": token.refresh_token,
        "access_token": token.access_token,
        "expires_at": canonical(token.expires_at),
        "renew_at": canonical(token.renew_at),
        "stored_at": canonical(now),
    }


def _loaded(entry: object) -> Token | None:
    """Return the token of an entry, or None where not even a refresh token can be read.

    An access token that cannot be used is renewed at once.
    """
    refresh_token = _string(entry, "refresh_token")
    if refresh_token is None:
        return None
    long_ago = dt.datetime.min.replace(tzinfo=dt.UTC)
    expires_at, renew_at = _instant(entry, "expires_at"), _instant(entry, "renew_at")
    access_token = _string(entry, "access_token")
    if expires_at is None or renew_at is None or access_token is None:
        return Token("", expires_at=long_ago, renew_at=long_ago, refresh_token=refresh_token)
    return Token(access_token, expires_at, renew_at, refresh_token)


def _string(entry: object, name: str) -> str | None:
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def _instant(entry: object, name: str) -> dt.datetime | None:
    return instant(_string(entry, name))
