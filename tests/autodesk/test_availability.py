"""Which answers are about one export, so that another one is requested in its place."""

from __future__ import annotations

import pytest

from tap_autodesk_exports.autodesk.availability import is_of_an_export

OF_ONE = (204, 400, 403, 404, 405, 409, 410, 418, 422, 423, 451, 499, 500)
OF_ALL = (None, 200, 202, 301, 302, 307, 401, 407, 408, 429, 501, 502, 503, 504, 521)


@pytest.mark.parametrize("status", OF_ONE)
def test_every_refusal_of_an_export_is_about_that_export(status):
    assert is_of_an_export(status)


@pytest.mark.parametrize("status", OF_ALL)
def test_what_every_request_may_be_answered_costs_no_export(status):
    assert not is_of_an_export(status)
