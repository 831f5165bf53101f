"""Each mannequin and each rendered place, drawn once for all tests.

A picture takes seconds and is one of its number alone, yet dozens of tests build scenes of the first few, and so does
each of xdist's workers. So `mannequin:` finds here what another test has drawn in the same run, in files, since workers
share no memory. It comes out of a file anew each time: no test can spoil it for another.

Whoever asks `synth.embedded` itself draws: the tests of the drawings do, and so do other processes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mildbench.files import write_bytes
from synth import embedded


class DrawnOnce:
    """Stands in for `synth.embedded` where a source looks it up.

    Args:
        folder: of this run of the tests alone: another run may draw otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def person(self, seed: int, height: int, carrying: bool = False) -> embedded.RenderedPerson:
        return self._get(embedded.person, seed, height, carrying)

    def place(self, seed: int, width: int, height: int) -> embedded.Scenery:
        return self._get(embedded.place, seed, width, height)

    def _get(self, draw: Callable[..., Any], *arguments: int) -> Any:
        path = self._folder / "-".join([draw.__name__, *map(str, arguments)])
        if path.exists():
            return pickle.loads(path.read_bytes())
        picture = draw(*arguments)
        write_bytes(path, pickle.dumps(picture))
        return picture
