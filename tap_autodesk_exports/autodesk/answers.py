"""Answers are read where they come in: what is missing or of another type is a sentence.

A list is read entry by entry, so that an entry of unexpected form does not hide its neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tap_autodesk_exports.autodesk.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

LONGEST_TEXT = 16 << 10
"""Characters of a text: servers take no longer links."""
LARGEST_WHOLE = 10**18
"""Beyond it no number with a point is an ID or a size."""
LONGEST_SHOWN = 200
"""Characters of an ID in a sentence."""
_ADVICE = "a newer release of this tap may know the new form"


class UnexpectedAnswer(ApiError):
    """An answer has another form than the documented one."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {_ADVICE}.", executed=True)


def check_same(api: str, kind: str, wanted: str, answered: str) -> None:
    """Check that an answer is about what it was asked for.

    Raises:
        UnexpectedAnswer: It is about another one, whose rows are not those that are wanted.
    """
    if answered.lower() != wanted.lower():
        msg = f"{api} answered {kind} {wanted} with another one"
        raise UnexpectedAnswer(msg)


@dataclasses.dataclass(frozen=True)
class Answer:
    """An object of an answer, whose values are read by name and type.

    Attributes:
        title: The API as a person knows it.
        what: What the object is, such as `contract`.
        values: Its values.
        id_name: The name of its ID, to say which one is meant.
    """

    title: str
    what: str
    values: Mapping[str, Any]
    id_name: str = "id"

    @classmethod
    def of(cls, title: str, what: str, value: Any, id_name: str = "id") -> Answer:  # noqa: ANN401
        """Take a value that must be an object.

        Raises:
            UnexpectedAnswer: It is something else.
        """
        if not isinstance(value, Mapping):
            msg = f"{title} answered {_kind(value)} in place of {_article(what)} {what}"
            raise UnexpectedAnswer(msg)
        return cls(title, what, value, id_name)

    def text(self, name: str) -> str:
        """Return a text that must be there; a number counts, because IDs occur as both.

        Raises:
            UnexpectedAnswer: It is missing, empty or of another type.
        """
        text = self.optional_text(name)
        if not text:
            msg = f"{self._one} without '{name}'"
            raise UnexpectedAnswer(msg)
        return text

    def optional_text(self, name: str) -> str | None:
        """Return a text; None where it is missing or null.

        Raises:
            UnexpectedAnswer: It is of another type, or longer than any ID or link is.
        """
        value = self.values.get(name)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            msg = f"{self._one} whose '{name}' has {len(value)} characters"
            raise UnexpectedAnswer(msg)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, Decimal) and _is_whole(value):  # 12.0 is the same number as 12
            return str(int(value))
        raise self._of_another_type(name, value, "text")

    def flag(self, name: str) -> bool:
        """Return a boolean that must be there.

        Raises:
            UnexpectedAnswer: It is missing or of another type.
        """
        value = self.values.get(name)
        if value is None:
            msg = f"{self._one} without '{name}'"
            raise UnexpectedAnswer(msg)
        if not isinstance(value, bool):
            raise self._of_another_type(name, value, "true or false")
        return value

    def entries(self, name: str) -> list[Any]:
        """Return a list; empty where it is missing or null.

        Raises:
            UnexpectedAnswer: It is of another type.
        """
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._of_another_type(name, value, "a list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty where it is missing or null.

        Raises:
            UnexpectedAnswer: It is of another type.
        """
        return tuple(str(item) for item in self.entries(name))

    @property
    def _one(self) -> str:
        said = self.values.get(self.id_name)
        is_shown = isinstance(said, (str, int)) and len(str(said)) <= LONGEST_SHOWN
        named = f" ({said})" if is_shown else ""
        return f"{self.title} answered {_article(self.what)} {self.what}{named}"

    def _of_another_type(self, name: str, value: Any, wanted: str) -> UnexpectedAnswer:  # noqa: ANN401
        return UnexpectedAnswer(f"{self._one} whose '{name}' is {_kind(value)}, not {wanted}")


@dataclasses.dataclass(frozen=True)
class Answers(Generic[T]):
    """What a list held.

    Attributes:
        items: The entries that could be read, in order.
        unreadable: Why each of the others could not.
    """

    items: tuple[T, ...]
    unreadable: tuple[UnexpectedAnswer, ...] = ()


def read_each(entries: Iterable[Any], read: Callable[[Any], T]) -> Answers[T]:
    """Read the entries of a list, each by itself.

    Args:
        entries: As the API answered them.
        read: Reads one; raises UnexpectedAnswer.
    """
    items: list[T] = []
    unreadable: list[UnexpectedAnswer] = []
    for entry in entries:
        try:
            items.append(read(entry))
        except UnexpectedAnswer as error:
            unreadable.append(error)
    return Answers(tuple(items), tuple(unreadable))


def as_list(title: str, what: str, answer: Any) -> list[Any]:  # noqa: ANN401
    """Return an answer that must be a list; null counts as an empty one.

    Raises:
        UnexpectedAnswer: It is something else.
    """
    if answer is None:
        return []
    if not isinstance(answer, list):
        msg = f"{title} answered {_kind(answer)} in place of a list of {what}"
        raise UnexpectedAnswer(msg)
    return answer


def _is_whole(number: Decimal) -> bool:
    return abs(number) < LARGEST_WHOLE and number == int(number)


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _kind(value: Any) -> str:  # noqa: ANN401
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return "a list"
        case Mapping():
            return "an object"
        case _:
            return "a number"
