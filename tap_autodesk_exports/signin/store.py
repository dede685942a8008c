"""Where rotated refresh tokens live between runs.

A file of JSON, readable by its owner alone: the name of a chain (see `Credentials.chain`) -> its
newest tokens. Chains that are older than a refresh token's life are dropped when another is
written. The lock holds between processes of one machine.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import filelock
import platformdirs
from upath import UPath

from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.signin.endpoint import Token
from tap_autodesk_exports.signin.errors import SignInError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

LIFE_DAYS = 15
"""Documented: a refresh token that is not used dies after 15 days."""
LOCK_SECONDS = 300
"""Longer than one renewal can take, all its attempts included."""
RESERVED = 65536
"""Bytes set aside before a token is used up, so that a full disk cannot lose its successor."""


def default_location(client_id: str) -> str:
    """Return the path of an app's store in the user's state folder."""
    name = hashlib.sha256(client_id.encode()).hexdigest()[:16]
    return str(platformdirs.user_state_path("tap-autodesk-exports") / f"{name}.json")


class TokenStore:
    """A store at a path or a URL.

    Args:
        location: A path, or a URL that fsspec knows, such as `s3://bucket/tokens.json`.

    Raises:
        ConfigurationError: It is neither.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            place = UPath(location).expanduser()
        except (ValueError, ImportError) as error:
            msg = (
                f"Setting 'token_store' ({location}) is neither a path nor a URL that fsspec knows "
                f"({error}): write s3://… and the like, and install the package for it."
            )
            raise ConfigurationError(msg) from None
        self._remote = place.protocol not in {"", "file", "local"}
        self._path = Path(place.path).resolve()
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
            lock = filelock.FileLock(self._lock_path(), timeout=LOCK_SECONDS, mode=0o600)
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
        entry = self._chains().get(chain)
        return None if entry is None else _loaded(entry)

    def reserve(self) -> None:
        """Make sure that the next `write` has room and permission, before a token is used up.

        Raises:
            StoreError: The store cannot be written.
        """
        if self._remote:
            self._write_remote(_text(self._chains()))
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._reserved = os.fdopen(os.open(self._next, flags, 0o600), "wb")
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
        oldest = now - dt.timedelta(days=LIFE_DAYS)
        chains = {
            name: entry
            for name, entry in self._chains().items()
            if dt.datetime.fromisoformat(entry["stored_at"]) > oldest
        }
        chains[chain] = _dumped(token, now)
        if self._remote:
            self._write_remote(_text(chains))
            return
        try:
            self._replace(_text(chains).encode())
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
        self._next.replace(self._path)

    def _write_remote(self, text: str) -> None:
        try:
            self._place.write_text(text, encoding="utf-8")
        except Exception as error:  # noqa: BLE001  # every fsspec backend has errors of its own
            raise self._unusable(error) from None

    def _recover(self) -> None:
        """Finish what a killed process left: a whole next file is newer than the store."""
        if self._remote:
            return
        try:
            left = self._next.read_bytes()
            with contextlib.suppress(ValueError):
                json.loads(left)
                self._next.replace(self._path)
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

    def _chains(self) -> dict[str, Any]:
        try:
            text = self._place.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except Exception as error:  # noqa: BLE001  # every fsspec backend has errors of its own
            raise self._unusable(error) from None
        try:
            chains: dict[str, Any] = json.loads(text)["chains"]
        except (ValueError, KeyError, TypeError):
            msg = (
                f"The token store {self.location} holds something else than tokens: set "
                "'token_store' to another place, or delete it and sign in again with "
                "`autodesk-exports login`."
            )
            raise SignInError(msg) from None
        return chains

    def _lock_path(self) -> Path:
        """Return the lock's place: beside a file; for a URL in this machine's temporary folder."""
        if self._remote:
            name = hashlib.sha256(self.location.encode()).hexdigest()[:16]
            return Path(tempfile.gettempdir()) / f"tap-autodesk-exports-{os.getuid()}-{name}.lock"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._path.with_name(self._path.name + ".lock")

    def _unusable(self, error: Exception) -> StoreError:
        reason = str(error) if isinstance(error, ImportError) else getattr(error, "strerror", None)
        return StoreError(
            f"The token store {self.location} cannot be used ({type(error).__name__}"
            f"{f': {reason}' if reason else ''}): set 'token_store' to a place that can be read "
            "and written, and that outlives the run."
        )


def _text(chains: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "chains": chains}, indent=1)


def _dumped(token: Token, now: dt.datetime) -> dict[str, str | None]:
    return {
        "refresh_token": token.refresh_token,
        "access_token": token.access_token,
        "expires_at": canonical(token.expires_at),
        "renew_at": canonical(token.renew_at),
        "stored_at": canonical(now),
    }


def _loaded(entry: dict[str, str]) -> Token:
    return Token(
        access_token=entry["access_token"],
        expires_at=dt.datetime.fromisoformat(entry["expires_at"]),
        renew_at=dt.datetime.fromisoformat(entry["renew_at"]),
        refresh_token=entry["refresh_token"],
    )
