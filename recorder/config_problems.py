"""What is wrong with a configuration, said as one error: the key, its value, the rule and the remedy."""

import types
from collections.abc import Iterable
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.errors import ConfigError, TapeheadError, nearest

__all__ = ["first_problem", "location_of"]

VALUE_SHOWN: Final = 200  # characters


def first_problem(model: type[BaseModel], error: ValidationError) -> TapeheadError:
    """Return the first thing that is wrong, as an error of ours."""
    details = _first(error)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, TapeheadError):
        return cause
    field = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        known = _keys(model, details["loc"][:-1])
        similar = nearest(str(details["loc"][-1]), known) or tuple(known)
        return ConfigError(
            field, _short(details["input"]), "there is no such key", "use " + " or ".join(similar)
        )
    if details["type"] == "missing":
        return ConfigError(field, None, "it must be given", f"add {details['loc'][-1]}")
    if details["type"] in ("tuple_type", "too_short"):
        rule = "a list with something in it is wanted"
        return ConfigError(field, _short(details["input"]), rule, "write [...]")
    return ConfigError(field, _short(details["input"]), _lower_first(details["msg"]))


def location_of(error: ValidationError) -> tuple[int | str, ...]:
    """Return where it is wrong: keys and places in lists, from the outermost."""
    details = _first(error)
    cause = details.get("ctx", {}).get("error")
    inner = (cause.field,) if isinstance(cause, ConfigError) else ()
    return (*details["loc"], *inner)


def _first(error: ValidationError) -> ErrorDetails:
    """A key that does not exist comes first: it may be why another one is missing."""
    found = error.errors()
    return next((details for details in found if details["type"] == "extra_forbidden"), found[0])


def _keys(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, dict, Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None


def _short(value: object) -> object:
    return value if len(repr(value)) <= VALUE_SHOWN else repr(value)[:VALUE_SHOWN]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
