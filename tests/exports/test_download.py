"""Downloads: whole or not at all, gone on with where they broke, never with credentials."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.made_up_service import FastClock
from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.errors import Stopped
from tap_autodesk_exports.exports.download import Downloader, DownloadError
from tap_autodesk_exports.exports.export import (
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    Status,
)
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINISHED = FinishedExport(
    PendingExport(
        ExportSpec("insights", "", "users"), canonical(FastClock().now()), id="an-export"
    ),
    ExportStatus(Status.READY, "COMPLETED", "an-export"),
)


class Storage:
    """A file of a sandbox, and a service that gives links to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._headers = {"Authorization": f"Bearer {sandbox.settings()['access_token']}"}
        body = {"outputFormat": "CSV", "reports": ["USERS"]}
        url = f"{sandbox.url}/insights/v1/exports"
        created = requests.post(url, json=body, headers=self._headers, timeout=10).json()
        self._url = f"{url}/{created['id']}"
        self.links = 0
        self.content = requests.get(self.signed_link(), timeout=10).content
        self.clock = FastClock()
        self.stop = threading.Event()

    def signed_link(self, *_: Any) -> str:
        self.links += 1
        found = requests.get(self._url, headers=self._headers, timeout=10).json()
        return str(found["downloads"][0]["downloadURL"])

    def fetch(self, folder: Path, name: str = "USERS-0", size: int | None = None) -> Path:
        self.links = 0
        downloader = Downloader(self.clock, self.stop, api_url=self.sandbox.url)
        return downloader.fetch(self, FINISHED, ExportFile(name, size=size), folder)  # type: ignore[arg-type]


@pytest.fixture
def storage() -> Iterator[Storage]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield Storage(sandbox)


def test_a_broken_download_goes_on_where_it_broke_with_a_fresh_link(storage, tmp_path):
    storage.sandbox.faults.add("truncate", endpoint="file", times=2)
    path = storage.fetch(tmp_path)
    assert path.read_bytes() == storage.content
    assert storage.links == 3
    assert [r.status for r in storage.sandbox.requests if "/storage/" in r.path][1:] == [
        200,
        206,
        206,
    ]


def test_it_begins_again_where_the_storage_does_not_go_on(storage, tmp_path):
    storage.sandbox.faults.add("truncate", endpoint="file")
    storage.sandbox.faults.add("status", endpoint="file", status=416)
    assert storage.fetch(tmp_path).read_bytes() == storage.content
    storage.sandbox.faults.add("truncate", endpoint="file")
    storage.sandbox.faults.add(
        "status",
        endpoint="file",
        status=206,
        body="of another place",
        headers={"Content-Range": "bytes 3-18/99"},
    )
    assert storage.fetch(tmp_path, "another").read_bytes() == storage.content


def test_a_file_of_another_size_than_listed_is_not_used(storage, tmp_path):
    with pytest.raises(DownloadError, match="the listing says 7") as caught:
        storage.fetch(tmp_path, size=7)
    assert "USERS-0" in str(caught.value)
    assert "stays pending" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pauses_between_tries_grow(storage, tmp_path):
    storage.sandbox.faults.add("expired_link", endpoint="file", times=None)
    with pytest.raises(DownloadError, match="the link had expired") as caught:
        storage.fetch(tmp_path)
    assert storage.clock.waits == [1, 2, 4, 8, 16]
    assert "?" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../../outside", "/etc/outside", "a\\..\\outside", "..", ".hidden"]
)
def test_no_name_leads_out_of_the_folder(storage, tmp_path, name):
    folder = tmp_path / "inside"
    folder.mkdir()
    path = storage.fetch(folder, name)
    assert path.parent == folder
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_a_long_download_ends_with_the_run(storage, tmp_path):
    storage.stop.set()
    with pytest.raises(Stopped):
        storage.fetch(tmp_path)


def test_a_link_that_expired_while_waiting_is_not_followed_again(storage, tmp_path):
    storage.sandbox.faults.add("truncate", endpoint="file")
    storage.clock.wait = lambda _, __: bool(storage.sandbox.clock.advance(400))
    assert storage.fetch(tmp_path).read_bytes() == storage.content
    assert 403 not in [request.status for request in storage.sandbox.requests]
