"""Where files are kept: a folder of this machine, or a bucket through fsspec."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import filelock

from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.json_reading import LONGEST
from tap_autodesk_exports.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Storage(Protocol):
    """A folder; names have slashes. What it refuses is a `DestinationError`.

    Attributes:
        title: What it is, for a person.
    """

    title: str

    def open(self) -> None:
        """Prepare to write."""

    def close(self) -> None:
        """Let others write."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a small file: whoever reads sees all of it or what was there before."""

    def draft(self, name: str, temporary: Path) -> Path:
        """Return a path for what is going to be moved to a name.

        Args:
            name: The name.
            temporary: A folder that is removed after the run.
        """

    def move(self, draft: Path, name: str) -> None:
        """Move a draft to its name, as `write` does."""

    def local(self, name: str, temporary: Path) -> Path:
        """Return a path under which a file can be read; `temporary` as in `draft`."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes; None where there is none."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


@contextlib.contextmanager
def usable(title: str) -> Iterator[None]:
    """Turn what a disk or a bucket refuses inside into a sentence.

    Args:
        title: What is read or written, for a person.

    Raises:
        DestinationError: Something was refused.
    """
    try:
        yield
    except (DestinationError, filelock.Timeout):
        raise
    except Exception as error:  # every fsspec backend has its own errors
        if not isinstance(error, OSError) and type(error).__module__ == "builtins":
            raise  # it is ours
        msg = (
            f"{title} cannot be read or written ({_reason(error)}): name another place, or make "
            "room or give permission there."
        )
        raise DestinationError(msg) from None


def _reason(error: Exception) -> str:
    match error:
        case NotADirectoryError() | FileExistsError():
            return "there is a file where a folder is needed"
        case IsADirectoryError():
            return "there is a folder where a file is needed"
        case _:
            return getattr(error, "strerror", None) or type(error).__name__


def prepare_file(path: Path) -> None:
    """Make the folder of a database's file, and make sure that the file can be written.

    Databases say what is wrong with it in words that lead astray, or later.

    Raises:
        DestinationError: It cannot.
    """
    with usable(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_file(path)
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()


def _check_file(path: Path) -> None:
    """Refuse what is there and no file: reading a device or a pipe may have no end.

    Raises:
        OSError: It is one.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class LocalFolder:
    """A folder of this machine, with a lock in it that keeps other exports out.

    Args:
        path: The folder; it is made where it is missing.
        lock: Name of the lock's file.
    """

    def __init__(self, path: Path, lock: str) -> None:
        self.title = str(path)
        self._path = path
        self._lock_path = path / lock
        self._lock = filelock.FileLock(self._lock_path, timeout=0, thread_local=False)

    def open(self) -> None:
        """Make the folder, lock it, and remove the drafts of killed runs."""
        try:
            with usable(self.title):
                self._path.mkdir(parents=True, exist_ok=True)
                if not self._lock_path.exists():
                    self._lock_path.touch()  # where no file can be made, filelock would wait
                self._lock.acquire()
        except filelock.Timeout:
            msg = f"Another export is writing into {self.title}: wait until it has ended."
            raise DestinationError(msg) from None

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def read(self, name: str) -> bytes | None:
        """Return the content of a file."""
        path = self._path / name
        with usable(str(path)):
            _check_file(path)
            try:
                with path.open("rb") as file:
                    return file.read(LONGEST)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside, and move it into place."""
        with usable(str(self._path / name)):
            draft = self.draft(name, self._path)
            draft.write_bytes(content)
            self.move(draft, name)

    def draft(self, name: str, temporary: Path) -> Path:  # noqa: ARG002
        """Return a hidden path in the same folder, so that moving it is one step."""
        path = self._path / name
        with usable(str(path)):
            _check_file(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.new")

    def move(self, draft: Path, name: str) -> None:
        """Flush the draft to the disk and move it into place."""
        with usable(str(self._path / name)):
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.replace(self._path / name)

    def local(self, name: str, temporary: Path) -> Path:  # noqa: ARG002
        """Return the path."""
        return self._path / name

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        with usable(str(self._path / name)):
            return digest(self._path / name)

    def size(self, name: str) -> int | None:
        """Return the size of a file."""
        path = self._path / name
        return path.stat().st_size if path.is_file() else None

    def remove(self, name: str) -> None:
        """Remove a file."""
        with usable(str(self._path / name)):
            (self._path / name).unlink(missing_ok=True)


class Bucket:
    """A folder of a bucket; an upload shows when it is whole. There are no locks.

    Args:
        url: Its address.
        extra: The extra that installs what the address needs; empty: none.
    """

    def __init__(self, url: str, extra: str) -> None:
        self.title = without_secrets(url)
        self._url = url
        self._extra = extra

    @property
    def _fs(self) -> Any:  # noqa: ANN401 - fsspec has no types
        return self._found()[0]

    def _found(self) -> tuple[Any, str]:
        import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            fs, root = fsspec.core.url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            msg = (
                f"{self.title} needs a package that is not installed: install "
                f"'tap-autodesk-exports[{self._extra}]'."
            )
            raise DestinationError(msg) from error
        return fs, str(root).rstrip("/")

    def _at(self, name: str) -> str:
        return f"{self._found()[1]}/{name}"

    def open(self) -> None:
        """Make the folder, where the storage has folders."""
        with usable(self.title):
            self._fs.makedirs(self._found()[1], exist_ok=True)

    def close(self) -> None:
        """Nothing."""

    def read(self, name: str) -> bytes | None:
        """Return the content of an object."""
        with usable(self.title):
            try:
                content: bytes = self._fs.cat_file(self._at(name))
            except FileNotFoundError:
                return None
            return content

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        with usable(self.title):
            self._fs.pipe_file(self._at(name), content)

    def draft(self, name: str, temporary: Path) -> Path:  # noqa: ARG002
        """Return a path of this machine."""
        return temporary / f"draft-{uuid4()}"

    def move(self, draft: Path, name: str) -> None:
        """Upload a draft."""
        with usable(self.title):
            self._fs.put_file(str(draft), self._at(name))
        draft.unlink()

    def local(self, name: str, temporary: Path) -> Path:
        """Download an object."""
        path = temporary / f"old-{uuid4()}"
        with usable(self.title):
            self._fs.get_file(self._at(name), str(path))
        return path

    def digest(self, name: str) -> str:
        """Return the SHA-256 of an object."""
        with usable(self.title), self._fs.open(self._at(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size(self, name: str) -> int | None:
        """Return the size of an object."""
        with usable(self.title):
            self._fs.invalidate_cache()
            try:
                return int(self._fs.size(self._at(name)))
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        """Remove an object."""
        if self.size(name) is not None:
            with usable(self.title):
                self._fs.rm_file(self._at(name))
