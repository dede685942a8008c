"""Lists in pages: whole where the server is right, and with an end where it is not."""

from __future__ import annotations

import itertools

import pytest

from tap_autodesk_exports.autodesk import paging
from tap_autodesk_exports.autodesk.answers import UnexpectedAnswer
from tap_autodesk_exports.autodesk.paging import (
    MOST_ENTRIES,
    MOST_PAGES,
    PAGES_OF_GROWTH,
    EndlessList,
    pages,
)
from tap_autodesk_exports.autodesk.shared_list import ReadOnce

LIMIT = 10


def entry(number):
    return {"id": number, "status": "COMPLETED"}


def collect(page):
    """Collect a list; `page` gets the offset."""
    calls = itertools.count()

    def fetch(offset, limit):
        assert next(calls) <= MOST_PAGES
        assert limit == LIMIT
        return page(offset)

    return [item["id"] for item in pages("Insights", "exports", LIMIT, fetch)], next(calls)


def part(offset, entries, total="true"):
    cut = [entry(number) for number in entries[offset : offset + LIMIT]]
    known = len(entries) if total == "true" else total
    return {"exports": cut, "pagination": {"offset": offset, "totalResults": known}}


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 95])
@pytest.mark.parametrize("total", ["true", None, "many", -1])
def test_a_list_is_whole_with_and_without_its_total(size, total):
    found, calls = collect(lambda offset: part(offset, list(range(size)), total))
    assert found == list(range(size))
    assert calls <= size // LIMIT + 1


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_server_may_give_fewer_than_requested(most):
    def page(offset):
        entries = [entry(number) for number in range(offset, min(25, offset + most))]
        return {"exports": entries, "pagination": {"totalResults": 25}}

    assert collect(page)[0] == list(range(25))


@pytest.mark.parametrize("most", [4, LIMIT])
@pytest.mark.parametrize("total", ["of the page", "so far", None])
def test_a_total_that_counts_less_than_the_list_does_not_end_it(most, total):
    def page(offset):
        entries = [entry(number) for number in range(offset, min(305, offset + most))]
        counted = {"of the page": len(entries), "so far": offset + len(entries), None: None}
        return {"exports": entries, "pagination": {"limit": most, "totalResults": counted[total]}}

    assert collect(page)[0] == list(range(305))


def test_a_full_page_that_is_the_whole_list_is_not_an_error_where_offsets_are_ignored():
    whole = [entry(number) for number in range(LIMIT)]
    found, calls = collect(lambda _: {"exports": whole, "pagination": {"totalResults": LIMIT}})
    assert found == list(range(LIMIT))
    assert calls == 2


def test_an_entry_that_comes_again_is_in_the_list_once():
    """A new one has arrived in front between two pages, and has moved the others."""

    def page(offset):
        moved = offset // LIMIT
        entries = [entry(n) for n in range(30)][max(0, offset - moved) : offset - moved + LIMIT]
        return {"exports": entries, "pagination": {"totalResults": 30 + moved}}

    assert collect(page)[0] == list(range(30))


FULL = [entry(number) for number in range(LIMIT)]
ENDLESS = {
    "an offset that is ignored": lambda _: {
        "exports": FULL, "pagination": {"totalResults": 35},
    },
    "the same page without a total": lambda _: {"exports": FULL},
    "two pages in turn": lambda offset: {
        "exports": [entry(n + offset % 20) for n in range(LIMIT)],
        "pagination": {"totalResults": 10**9},
    },
    "a list that starts again": lambda offset: {
        "exports": [entry((offset + n) % 25) for n in range(LIMIT)],
        "pagination": {"totalResults": offset + 100},
    },
    "a list that grows": lambda offset: {
        "exports": [entry(offset + n) for n in range(LIMIT)],
        "pagination": {"totalResults": offset + 100},
    },
    "new entries for ever": lambda offset: {
        "exports": [entry(offset + n) for n in range(LIMIT)],
    },
    "one entry a page": lambda offset: {
        "exports": [entry(offset)], "pagination": {"totalResults": 10**9},
    },
}  # fmt: skip


@pytest.mark.parametrize("what", ENDLESS)
def test_a_list_that_does_not_end_is_said_not_to(what):
    with pytest.raises((UnexpectedAnswer, EndlessList), match=r"same page of exports|does not end"):
        collect(ENDLESS[what])


def test_a_list_that_ends_before_its_total_is_warned_of(caplog):
    found, _ = collect(lambda offset: part(offset, [1, 2, 3], 50_000))
    assert found == [1, 2, 3]
    assert "ends after 3 entries, and says that it has 50000" in caplog.text


@pytest.mark.parametrize(
    "page",
    [[], None, "text", {"exports": {}}, {"exports": "x"}, {"exports": [], "pagination": []},
     {"exports": [], "pagination": {"totalResults": []}}],
)  # fmt: skip
def test_a_page_of_another_form_is_a_sentence(page):
    if page == {"exports": [], "pagination": []}:
        assert collect(lambda _: page)[0] == []  # empty, which is as good as missing
        return
    with pytest.raises(UnexpectedAnswer, match="Insights answered"):
        collect(lambda _: page)


def counted(page):
    """Return after how many pages a list was given up."""
    offsets = []

    def fetch(offset, _):
        offsets.append(offset)
        return page(offset)

    with pytest.raises(EndlessList, match="that does not end: one of at most 50000 entries"):
        pages("Insights", "exports", LIMIT, fetch)
    return len(offsets)


def new_entries(total):
    """Return a list of new entries for ever, with the total that it says to have."""

    def page(offset):
        entries = [entry(number) for number in range(offset, offset + LIMIT)]
        return {"exports": entries, "pagination": {"totalResults": total(offset)}}

    return page


def test_a_list_that_says_at_once_that_it_is_too_long_costs_one_request():
    assert counted(new_entries(lambda _: MOST_ENTRIES + 1)) == 1


@pytest.mark.parametrize("more", [LIMIT + 1, 3 * LIMIT, 100 * LIMIT])
def test_a_list_that_grows_as_fast_as_it_is_read_is_given_up_after_some_pages(more):
    assert counted(new_entries(lambda offset: offset + more)) == PAGES_OF_GROWTH + 1


def test_a_list_without_a_total_is_given_up_after_the_most_pages():
    assert counted(new_entries(lambda _: None)) == MOST_PAGES


def test_a_list_that_grows_while_it_is_read_is_whole():
    """Each page finds one entry more, at its end."""
    size = 40 * LIMIT

    def page(offset):
        known = size + offset // LIMIT
        entries = [entry(number) for number in range(offset, min(known, offset + LIMIT))]
        return {"exports": entries, "pagination": {"totalResults": known}}

    assert len(collect(page)[0]) >= size


def test_a_list_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(paging, "MOST_BYTES", 1000)
    assert counted(new_entries(lambda _: None)) < MOST_PAGES / 10


def test_a_list_that_does_not_end_is_read_once():
    """Each time may take minutes, and many exports look at the same list."""
    calls = []

    def read(owner):
        calls.append(owner)
        raise EndlessList(owner)

    once = ReadOnce(read)
    for owner in ("a", "a", "b", "a"):
        with pytest.raises(EndlessList, match=f"^{owner}$"):
            once.of(owner)
    assert calls == ["a", "b"]
