"""A bucket whose package is missing: one sentence names the extra, before anything runs."""

from __future__ import annotations

import fsspec
import pytest

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.storages import EXTRAS, missing_extra
from tap_autodesk_exports.signin.store import TokenStore
from tap_autodesk_exports.streams.batch_files import check_batches


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch):
    def refuse(scheme):
        msg = f"Install what {scheme} needs"
        raise ImportError(msg)

    monkeypatch.setattr(fsspec, "get_filesystem_class", refuse)


@pytest.mark.parametrize("scheme", EXTRAS)
def test_batches_name_the_extra(scheme):
    storage = {"root": f"{scheme}://bucket/folder"}
    batches = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": storage}
    named = rf"batch_config.*\[{EXTRAS[scheme]}\]"
    with pytest.raises(ConfigurationError, match=named):
        check_batches({"batch_config": batches})


@pytest.mark.parametrize("scheme", EXTRAS)
def test_a_token_store_names_the_extra(scheme):
    with pytest.raises(ConfigurationError, match=rf"token_store.*\[{EXTRAS[scheme]}\]"):
        TokenStore(f"{scheme}://bucket/tokens.json")


@pytest.mark.parametrize("location", ["/a/b", "file:///a/b", "memory://a", "a\\b", "", "s3:/x"])
def test_what_needs_no_extra_names_none(location):
    assert missing_extra(location) is None
