"""`name:key=value,key=value` on the command line: a plug-in and the arguments of its constructor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mildbench.errors import UserError, did_you_mean
from mildbench.registry import Registry

T = TypeVar("T")


def parse(text: str, kind: str, nested: str = "") -> tuple[str, dict[str, str]]:
    """The name and the options, as text; raises `UserError` for an option without a value.

    `nested` is an option that is a plug-in with options of its own: its value is all that follows.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    while rest:
        item, _, rest = rest.partition(",")
        key, equals, value = item.partition("=")
        if item and not equals:
            raise UserError(f"{kind} {text!r}: the option {item!r} has no value: write {item}=VALUE")
        if nested and key == nested:
            value, rest = f"{value},{rest}".rstrip(","), ""
        if item:
            options[key] = value
    return name, options


def create(registry: Registry[T], name: str, options: Mapping[str, Any]) -> T:
    """Instantiate a plug-in; unknown options and bad values raise `UserError`."""
    target: Callable[..., T] = registry.load(name)
    parameters = inspect.signature(target).parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    arguments: dict[str, Any] = {}
    for key, value in options.items():
        if open_ended and key not in parameters:
            arguments[key] = value  # a plug-in that passes options on says itself which ones it takes
            continue
        if key not in parameters:
            raise UserError(
                f"{registry.kind} {name!r} has no option {key!r}: {did_you_mean(key, parameters)}"
            )
        arguments[key] = _convert(f"{registry.kind} {name!r}", key, value, parameters[key].default)
    return target(**arguments)


def _convert(plugin: str, key: str, value: Any, default: Any) -> Any:
    """An option's text as the type of its default."""
    if isinstance(default, str) or default is None or default is inspect.Parameter.empty:
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return type(default)(value)
    except (KeyError, ValueError):
        kind = type(default).__name__
        raise UserError(f"{plugin}: option {key}={value!r} is not a {kind} (default {default})") from None
