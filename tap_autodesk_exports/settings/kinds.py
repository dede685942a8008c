"""The kinds of values that settings have: each as JSON schema, and how it is read.

A value comes from a JSON file, from YAML by way of Meltano, or from an environment variable, so a
number may be an int, a float, a Decimal or text; it is read as what the setting's type says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import difflib
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_autodesk_exports.settings.forms import Form

LARGEST = 1_000_000
LONGEST_SHOWN = 60
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class Unreadable(ValueError):  # named for what happened
    """A value is not of its setting's kind.

    Args:
        value: The value. It may be secret: the text of this error does not hold it.
        problem: What it is not: "is not a whole number".
        remedy: What to write instead.
        at: Where in the setting it is, such as `[2]` or `.insights`.
    """

    def __init__(self, value: object, problem: str, remedy: str, at: str = "") -> None:
        super().__init__(problem)
        self.value = value
        self.problem = problem
        self.remedy = remedy
        self.at = at

    def inside(self, at: str) -> Unreadable:
        """Return this error as one of a value that is inside another."""
        return Unreadable(self.value, self.problem, self.remedy, at + self.at)


class Kind(Protocol):
    """One kind of values."""

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema; `type` is a list, so that null can join it."""
        ...

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """Return the value that the rest of the tap uses.

        Raises:
            Unreadable: It is of another kind.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Text:
    """Text.

    Attributes:
        form: The form that it must have.
    """

    form: Form | None = None

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        return json.dumps(self.form.example if self.form else "…", ensure_ascii=False)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["string"]}

    def read(self, value: Any) -> str:  # noqa: ANN401
        """Return text. A number is none: as an ID it may have lost its zeros on the way."""
        if not isinstance(value, str):
            raise Unreadable(value, "is not text", "write it in quotes")
        if self.form and not self.form.fits(value):
            remedy = self.form.remedy or f"write it as {self.form.example}"
            raise Unreadable(value, self.form.problem, remedy)
        return value


class Switch:
    """True or false."""

    example = "true"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["boolean"]}

    def read(self, value: Any) -> bool:  # noqa: ANN401
        """Return a boolean, also from the words that environment variables use."""
        word = str(value).strip().lower() if isinstance(value, str | int) else None
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise Unreadable(value, "is neither true nor false", "write it as true or false")


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number.

    Attributes:
        whole: Whether it has no fraction.
        minimum: The least that it can be.
        above: What it must exceed.
        maximum: The most that it can be; no instant or pause that is reckoned with it overflows.
    """

    whole: bool
    minimum: float | None = None
    above: float | None = None
    maximum: float = LARGEST

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        return "30" if self.whole else "0.5"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        schema: dict[str, Any] = {"type": ["integer" if self.whole else "number"]}
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.above is not None:
            schema["exclusiveMinimum"] = self.above
        return {**schema, "maximum": self.maximum}

    def read(self, value: Any) -> float:  # noqa: ANN401
        """Return an int where the kind is whole, else a float."""
        number = self._number(value)
        wanted = "a whole number" if self.whole else "a number"
        if number is None or (self.whole and number != int(number)):
            raise Unreadable(value, f"is not {wanted}", f"write it as {self.example}")
        if self.minimum is not None and number < self.minimum:
            raise Unreadable(
                value, f"is less than {self.minimum:g}", f"write {self.minimum:g} or more"
            )
        if self.above is not None and number <= self.above:
            raise Unreadable(
                value, f"is not more than {self.above:g}", f"write more than {self.above:g}"
            )
        if number > self.maximum:
            raise Unreadable(
                value, f"is more than {self.maximum:.0f}", f"write {self.maximum:.0f} or less"
            )
        return int(number) if self.whole else float(number)

    @staticmethod
    def _number(value: Any) -> int | float | Decimal | None:  # noqa: ANN401
        if isinstance(value, str):
            try:
                value = Decimal(value.strip())
            except ArithmeticError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return None
        return value if math.isfinite(value) else None


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few words.

    Attributes:
        words: Text -> the value of that text.
    """

    words: Mapping[str, Any]

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        return json.dumps(next(iter(self.words)))

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["string"], "enum": list(self.words)}

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """Return the value of the word."""
        if isinstance(value, str) and value in self.words:
            return self.words[value]
        words = " or ".join(self.words)
        raise Unreadable(value, "is not one of the words that it can be", f"write {words}")


class Instant:
    """A date or a date with a time."""

    example = '"2026-01-31"'

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["string"], "format": "date-time"}

    def read(self, value: Any) -> dt.datetime:  # noqa: ANN401
        """Return an aware instant in UTC; one without a zone is in UTC."""
        try:
            instant = dt.datetime.fromisoformat(value)
            if instant.tzinfo is None:
                return instant.replace(tzinfo=dt.UTC)
            return instant.astimezone(dt.UTC)
        except (TypeError, ValueError, OverflowError):
            raise Unreadable(
                value, "is not a date", "write it as 2026-01-31 or with a time"
            ) from None


@dataclasses.dataclass(frozen=True)
class ListOf:
    """A list of values of one kind.

    Attributes:
        kind: The kind.
    """

    kind: Kind

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        return f"[{self.kind.example}]"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["array"], "items": self.kind.schema()}

    def read(self, value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Return the values as a tuple.

        Text is read as JSON, or as words with commas between them: environment variables have both.
        """
        values = _parsed(value)
        if isinstance(value, str) and not isinstance(values, list) and value[:1] not in "[{":
            values = [word.strip() for word in value.split(",")]
        if not isinstance(values, list | tuple):
            raise Unreadable(value, "is not a list", f"write it as {self.example}")
        return tuple(_inside(f"[{at}]", self.kind, each) for at, each in enumerate(values))


class Anything:
    """A JSON object that is sent as it is."""

    example = "{}"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": ["object"], "properties": {}, "additionalProperties": True}

    def read(self, value: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the object; text is read as JSON."""
        found = _parsed(value)
        if not isinstance(found, Mapping):
            raise Unreadable(value, "is not an object", 'write it as {"name": "value"}')
        return {name: _plain(each) for name, each in found.items()}


@dataclasses.dataclass(frozen=True)
class Names:
    """An object of named values.

    Attributes:
        kinds: Name -> kind.
        notes: Name -> what the JSON schema says of it beyond its kind.
        required: The names that must be given.
        closed: Whether the JSON schema refuses other names; reading always does.
        make: Makes the value of the names that are given.
    """

    kinds: Mapping[str, Kind]
    notes: Mapping[str, Mapping[str, Any]]
    required: frozenset[str] = frozenset()
    closed: bool = True
    make: Callable[..., Any] = dict

    @property
    def example(self) -> str:
        """A value as it is written in JSON."""
        shown = self.required or [*self.kinds][:1]
        return "{" + ", ".join(f'"{name}": {self.kinds[name].example}' for name in shown) + "}"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        schema: dict[str, Any] = {
            "type": ["object"],
            "properties": {
                name: {**self._property(name), **self.notes.get(name, {})} for name in self.kinds
            },
        }
        if self.required:
            schema["required"] = sorted(self.required)
        return {**schema, "additionalProperties": not self.closed}

    def _property(self, name: str) -> dict[str, Any]:
        schema = self.kinds[name].schema()
        return schema if name in self.required else {**schema, "type": [*schema["type"], "null"]}

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """Return what `make` makes of the names; text is read as JSON."""
        given = _parsed(value)
        if not isinstance(given, Mapping):
            raise Unreadable(value, "is not an object", f"write it as {self.example}")
        if unknown := [name for name in given if name not in self.kinds]:
            near = nearest(unknown[0], self.kinds)
            # An object of secrets may have one where a name should be.
            which = f"a name that is almost '{near}'" if near else "a name that does not exist"
            raise Unreadable(value, f"has {which}", f"the names are {', '.join(self.kinds)}")
        if missing := [name for name in sorted(self.required) if given.get(name) is None]:
            raise Unreadable(value, f"has no '{missing[0]}'", f"write it as {self.example}")
        return self.make(
            **{
                name: _inside(f".{name}", self.kinds[name], each)
                for name, each in given.items()
                if each is not None
            }
        )


def shown(value: object) -> str:
    """Return a value as a sentence can show it: shortened, and without the secrets of a URL."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if not isinstance(value, str):
        return json.dumps(value, default=str)
    text = without_secrets(value)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")


def nearest(name: object, names: Iterable[str], cutoff: float = 0.75) -> str | None:
    """Return the name that somebody who wrote another one may have meant.

    Args:
        name: What was written.
        names: What could have been.
        cutoff: How much the two must look alike; 1 is the same.
    """
    found = difflib.get_close_matches(str(name).lower(), list(names), n=1, cutoff=cutoff)
    return found[0] if found else None


def _inside(at: str, kind: Kind, value: Any) -> Any:  # noqa: ANN401
    """Read a value that is inside another."""
    try:
        return kind.read(value)
    except Unreadable as error:
        raise error.inside(at) from None


def _parsed(value: Any) -> Any:  # noqa: ANN401
    """Return what JSON text stands for; an environment variable hands lists and objects over so."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return read_json(value)
    return value


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a JSON value without the Decimals that the SDK's reader makes."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
