"""`name:key=value,key=value` on the command line: a plug-in and the arguments of its constructor."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from mildbench.errors import UserError, did_you_mean
from mildbench.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True)
class Spec(Generic[T]):
    """A plug-in of one registry and its options, as written on the command line."""

    registry: ClassVar[Registry[Any]]
    nested: ClassVar[str] = ""
    """An option that is a plug-in with options of its own: its value is all that follows."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `name:key=value,...`; raises `UserError` for an option without a value."""
        name, _, rest = text.partition(":")
        options: dict[str, Any] = {}
        while rest:
            item, _, rest = rest.partition(",")
            key, equals, value = item.partition("=")
            if item and not equals:
                raise UserError(
                    f"{cls.registry.kind} {text!r}: the option {item!r} has no value: write {item}=VALUE"
                )
            if cls.nested and key == cls.nested:
                value, rest = f"{value},{rest}".rstrip(","), ""
            if key in options:
                raise UserError(f"{cls.registry.kind} {text!r}: the option {key!r} is given twice: keep one")
            if item:
                options[key] = value
        return cls(name, options)

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return written(self.name, self.options)

    @property
    def texts(self) -> dict[str, str]:
        """Every option, given or at its default, as records write it, sorted.

        `radius=3` is the same as `radius=3.0`, and as none given where that is the default. Raises `UserError` for an
        unknown plug-in or option, and for a bad value.
        """
        given = arguments(self.registry, self.name, self.options)
        return {name: as_text(value) for name, value in sorted((self.defaults | given).items())}

    @property
    def defaults(self) -> dict[str, Any]:
        """The options that have a default; raises `UserError` for an unknown plug-in."""
        parameters = inspect.signature(self.registry.load(self.name)).parameters
        return {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}

    def instantiate(self) -> T:
        """The plug-in, nothing loaded; raises `UserError` for an unknown name or option, and for a bad value."""
        made: T = create(self.registry, self.name, self.options)
        return made


def written(name: str, options: Mapping[str, Any]) -> str:
    """`name:key=value,key=value`."""
    given = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name}:{given}" if given else name


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def create(registry: Registry[T], name: str, options: Mapping[str, Any], *given: Any) -> T:
    """Instantiate a plug-in; unknown options and bad values raise `UserError`.

    `given`: what its constructor takes first, which is no option.
    """
    target: Callable[..., T] = registry.load(name)
    return target(*given, **arguments(registry, name, options, skip=len(given)))


def arguments(
    registry: Registry[Any], name: str, options: Mapping[str, Any], *, skip: int = 0
) -> dict[str, Any]:
    """Options as the constructor of a plug-in takes them: each of the type of its default.

    `skip`: of its arguments, the first ones that are no options. Raises `UserError` as `create` does.
    """
    parameters = dict(list(inspect.signature(registry.load(name)).parameters.items())[skip:])
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    found: dict[str, Any] = {}
    for key, value in options.items():
        if open_ended and key not in parameters:
            found[key] = value  # a plug-in that passes options on says itself which ones it takes
            continue
        if key not in parameters:
            raise UserError(
                f"{registry.kind} {name!r} has no option {key!r}: {did_you_mean(key, parameters)}"
            )
        found[key] = _convert(f"{registry.kind} {name!r}", key, value, parameters[key].default)
    return found


def _convert(plugin: str, key: str, value: Any, default: Any) -> Any:
    """An option's text as the type of its default."""
    if isinstance(value, str):
        value = at_home(value)
    if isinstance(default, str) or default is None or default is inspect.Parameter.empty:
        return value
    try:
        if isinstance(default, bool):
            return _TRUTH[value.lower()]
        return type(default)(value)
    except (KeyError, ValueError):
        kind = type(default).__name__
        raise UserError(f"{plugin}: option {key}={value!r} is not a {kind} (default {default})") from None


def as_text(value: Any) -> str:
    """An option's value as `texts` writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def alike(one: str, other: str) -> bool:
    """Whether two texts give an option the same value, whatever its type: `3` and `3.0`, `yes` and `True`."""

    def value(text: str) -> object:
        try:
            return float(_TRUTH.get(text.lower(), text))
        except ValueError:
            return text

    return value(one) == value(other)


def at_home(text: str) -> str:
    """A path with the user's folder for a `~/` at its start, which no shell expands behind `NAME:` and `OPTION=`."""
    return os.path.expanduser(text) if text.startswith("~/") else text  # noqa: PTH111 - a slash at its end stays


class Option(NamedTuple):
    """What a plug-in's constructor takes, for people who look for it."""

    name: str
    default: str
    """As one writes it; empty for an empty text and for what must be given."""
    meaning: str
    """Empty where the docstring does not say."""


def options_of(plugin: type[Any]) -> list[Option]:
    """The options of a plug-in, in order, with what its docstring says of each.

    Read are the `Args:` of the constructor, or of the class, in Google's style; where one says "see `Base`", what the
    base class says of it.
    """
    if plugin.__init__ is object.__init__:
        return []
    told = _told(plugin)
    return [
        Option(name, _shown(parameter.default), told.get(name, ""))
        for name, parameter in inspect.signature(plugin).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]


def _told(plugin: type[Any]) -> dict[str, str]:
    """Option -> what the docstring says of it."""
    own = plugin.__dict__.get("__init__")
    text = inspect.cleandoc((own and own.__doc__) or plugin.__doc__ or "")
    if only := re.match(r"`(\w+)`: (.*)", text, flags=re.DOTALL):
        pairs = [only.groups()]
    else:
        block = re.split(r"\n(?=\S)", text.partition("Args:\n")[2])[0]
        pairs = re.findall(r"^(\w+): (.*(?:\n .*)*)", textwrap.dedent(block), flags=re.MULTILINE)
    told = {name: " ".join(words.split()) for name, words in pairs}
    base = next((base for base in plugin.__mro__[1:-1] if "__init__" in base.__dict__), None)
    if base is None:
        return told
    inherited = _told(base)
    for name, words in told.items():
        told[name] = words.replace(f"see `{base.__name__}`", inherited.get(name, "").rstrip("."))
    return told if own else inherited | told


def _shown(default: Any) -> str:
    if default is inspect.Parameter.empty or default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
