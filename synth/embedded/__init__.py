"""The procedural world: a person or a place for every number, without a file or a download.

`person` and `place` are the only door: nothing outside knows what is behind it.
"""

from synth.embedded.mannequin.figure import RenderedPerson
from synth.embedded.mannequin.figure import render_person as person
from synth.embedded.scenery.render import Scenery
from synth.embedded.scenery.render import render_scenery as place

__all__ = ["RenderedPerson", "Scenery", "person", "place"]
