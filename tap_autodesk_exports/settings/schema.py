"""What follows from a dataclass of settings: its JSON schema, and how its values are read.

A field's type says what kind of value it takes, and `setting` what else there is to know of it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, cast

from tap_autodesk_exports.settings.kinds import (
    LARGEST,
    Anything,
    Choice,
    Instant,
    Kind,
    ListOf,
    Names,
    Number,
    Switch,
    Text,
    Unreadable,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import DataclassInstance

    from tap_autodesk_exports.settings.forms import Form

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def setting(  # noqa: PLR0913
    default: Any,  # noqa: ANN401
    title: str,
    description: str,
    *,
    secret: bool = False,
    per_api: bool = False,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float = LARGEST,
    form: Form | None = None,
    default_in_words: bool = False,
    convert: Callable[[Any], Any] | None = None,
) -> Any:  # noqa: ANN401
    """Declare a field of a dataclass as a setting.

    Args:
        default: Its value where it is not given.
        title: A label of a few words.
        description: Sentences in Markdown, for people who set it.
        secret: Whether nothing may show its value.
        per_api: Whether an API can have its own value, under `credentials`.
        minimum: The least number that it can be.
        above: The number that it must exceed.
        maximum: The greatest number that it can be.
        form: The form of its text, or of each text in its list.
        default_in_words: Whether the description says what the default means, so that schema and
            documentation do not show its value.
        convert: Makes the field's value of the one that was read.
    """
    metadata = {
        "title": title,
        "description": description,
        "secret": secret,
        "per_api": per_api,
        "limits": {"minimum": minimum, "above": above, "maximum": maximum},
        "form": form,
        "default_in_words": default_in_words,
        "convert": convert,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def json_schema(settings: type[DataclassInstance]) -> dict[str, Any]:
    """Return the JSON schema of a dataclass of settings, as the Singer SDK takes it."""
    schema = _names(settings, dataclasses.fields(settings)).schema()
    return {"type": "object", "properties": schema["properties"], "$schema": JSON_SCHEMA}


def secret_settings(settings: type[DataclassInstance]) -> frozenset[str]:
    """Return the names of the settings that are secret."""
    return frozenset(f.name for f in dataclasses.fields(settings) if f.metadata.get("secret"))


@functools.cache
def kinds(settings: type[DataclassInstance]) -> Mapping[str, Kind]:
    """Return the kind of each setting."""
    return _names(settings, dataclasses.fields(settings)).kinds


def read_all(
    settings: type[DataclassInstance], config: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the settings of a configuration.

    Returns:
        Name -> value, and name -> sentence for those that cannot be read. Null and the empty text
        are as if they were not given.
    """
    values, wrong = {}, {}
    converters = {f.name: f.metadata.get("convert") for f in dataclasses.fields(settings)}
    for name, given in config.items():
        if name not in converters or given is None or given == "":
            continue
        try:
            value = kinds(settings)[name].read(given)
        except Unreadable as error:
            secret = name in secret_settings(settings)
            wrong[name] = _sentence(name, error, secret=secret)
        else:
            convert = converters[name]
            values[name] = value if convert is None else convert(value)
    return values, wrong


def _sentence(name: str, error: Unreadable, *, secret: bool) -> str:
    """Say what is wrong with a value, and show it unless it is secret."""
    value = "" if secret else f" ({shown(error.value)})"
    return f"Setting '{name}{error.at}'{value} {error.problem}: {error.remedy}."


def _names(
    settings: type[DataclassInstance],
    fields: Iterable[dataclasses.Field[Any]],
    make: Callable[..., Any] = dict,
    *,
    closed: bool = True,
) -> Names:
    """Return some fields of a dataclass as an object of named values."""
    hints = typing.get_type_hints(settings)
    fields = list(fields)
    return Names(
        {field.name: _kind(settings, hints[field.name], field) for field in fields},
        {field.name: _notes(field) for field in fields},
        frozenset(field.name for field in fields if _default(field) is dataclasses.MISSING),
        closed=closed,
        make=make,
    )


def _kind(  # noqa: PLR0911  # one for each kind of type
    settings: type[DataclassInstance],
    hint: Any,  # noqa: ANN401
    field: dataclasses.Field[Any] | None = None,
) -> Kind:
    """Return the kind of values of a type; None beside it is what is not given."""
    if isinstance(hint, types.UnionType):
        (hint,) = (each for each in typing.get_args(hint) if each is not types.NoneType)
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin is Literal:
        return Choice({word: word for word in arguments})
    if origin is tuple:
        return ListOf(_kind(settings, arguments[0], field))
    if origin is Mapping:
        return _per_api(settings, arguments[0])
    if dataclasses.is_dataclass(hint):
        record = cast("type[DataclassInstance]", hint)
        return _names(record, dataclasses.fields(record), make=record, closed=False)
    if issubclass(hint, StrEnum):
        return Choice({member.value: member for member in hint})
    if hint in {int, float}:
        limits = field.metadata["limits"] if field else {}
        return Number(whole=hint is int, **limits)
    simple: dict[Any, Kind] = {
        bool: Switch(),
        str: Text(field.metadata.get("form") if field else None),
        dict: Anything(),
        dt.datetime: Instant(),
    }
    return simple[origin]


def _per_api(settings: type[DataclassInstance], apis: type[StrEnum]) -> Names:
    """Return the kind of an object that holds, for some APIs, the settings of their own."""
    own = _names(
        settings, (field for field in dataclasses.fields(settings) if field.metadata.get("per_api"))
    )
    return Names({api.value: own for api in apis}, {}, make=lambda **given: _by_api(apis, given))


def _by_api(apis: type[StrEnum], given: Mapping[str, Any]) -> dict[StrEnum, Any]:
    """Return what is given for each API, without what is empty."""
    bare = {
        api: {name: value for name, value in own.items() if value} for api, own in given.items()
    }
    return {apis(api): own for api, own in bare.items() if own}


def _notes(field: dataclasses.Field[Any]) -> dict[str, Any]:
    """Return what the JSON schema says of a field beyond its kind."""
    notes = {name: field.metadata[name] for name in ("title",) if name in field.metadata}
    default = _default(field)
    if default not in (None, dataclasses.MISSING) and not field.metadata.get("default_in_words"):
        notes["default"] = list(default) if isinstance(default, tuple) else default
    if "description" in field.metadata:
        notes["description"] = field.metadata["description"]
    if field.metadata.get("secret"):
        notes |= {"secret": True, "writeOnly": True}
    return notes


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
