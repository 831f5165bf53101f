"""What a method is: all of it that decides a prediction, and nothing of where it lies."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import NamedTuple

from mildbench import weights
from mildbench.errors import UserError
from mildbench.identity import content_sha256
from mildbench.method import METHODS, EraseMethod, MethodSpec
from mildbench.options import as_text


class MethodIdentity(NamedTuple):
    """The fields of `Config` that are the method's own."""

    method: str
    versions: dict[str, str]
    options: dict[str, str]
    dtype: str | None
    weights: dict[str, str]
    files: dict[str, str]


def identity_of(spec: MethodSpec, method: EraseMethod) -> MethodIdentity:
    """Of a method made by `spec`, loaded or not; raises `UserError` where a file that it reads is not there."""
    defaults, options = spec.defaults, spec.texts
    files = method.files
    if files is None:
        files = {
            name: path
            for name, text in options.items()
            if not isinstance(defaults.get(name), bool | int | float)
            and text
            and (path := Path(text).expanduser()).exists()
        }
    if "names" in method.info.capabilities:
        # Pictures made elsewhere: `predict` looks at each of them, every time.
        if spec.options.get("directory"):
            options["directory"] = str(Path(spec.options["directory"]).resolve())
        files = {}
    digests = {name: _content(name, path, spec) for name, path in files.items()}
    # What a file holds says all that its name said, and so does the dtype of "auto".
    told = {*digests, "dtype"} if method.dtype is not None else {*digests}
    told |= {name for name in method.info.later if options[name] == as_text(defaults[name])}
    return MethodIdentity(
        method=spec.name,
        versions=_versions(spec.name, method),
        options={name: text for name, text in options.items() if name not in told},
        dtype=method.dtype,
        weights={name: weights.digest(name) for name in method.info.weights},
        files=digests,
    )


def code_version(kind: type[EraseMethod], distribution: str | None) -> str:
    """What tells one state of a method's code from another: `revision 3`, as declared.

    Where a class declares none: its distribution (name and version) and a digest of the source files of the class and
    of its bases, up to one that declares a revision, with that. A class that only inherits `info` declares nothing.
    Raises `UserError` for a class of which nothing can be told.
    """
    undeclared: list[str] = []
    for base in kind.__mro__[: kind.__mro__.index(EraseMethod)]:
        info = vars(base).get("info")
        if info is not None and info.revision is not None:
            declared = f"revision {info.revision}"
            if not undeclared:
                return declared
            undeclared.append(f"{info.name} {declared}")
            break
        try:
            undeclared.append(inspect.getsource(inspect.getmodule(base) or base))
        except (OSError, TypeError):  # compiled, or typed into a console
            continue
    known = [distribution] if distribution is not None else []
    if undeclared:
        known.append(f"source {hashlib.sha256(chr(0).join(undeclared).encode()).hexdigest()}")
    if not known:
        raise UserError(
            f"method {kind.__name__} declares no revision, and neither its source nor its distribution is to be "
            "found: set MethodInfo.revision"
        )
    return ", ".join(known)


def _versions(name: str, method: EraseMethod) -> dict[str, str]:
    found = {name: code_version(type(method), METHODS.distribution(name))}
    for other, inner in method.runs.items():
        found |= _versions(other, inner)
    return found


def _content(name: str, path: Path, spec: MethodSpec) -> str:
    if not path.exists():
        raise UserError(f"method {spec.name!r}: {name} not found: {path}")
    return content_sha256(path)
