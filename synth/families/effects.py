"""People who change more than the pixels they cover: by their shadows, and by what the ground mirrors of them."""

from __future__ import annotations

import numpy as np

from synth.families.people import PeopleFamily
from synth.render import with_effects
from synth.views import View

GLOSSY = 16
"""Sheen (255ths of the light) from which a mirror image is seen at a glance;"""
BROAD = 0.05
"""and so much of the picture has it, at least."""


class Effects(PeopleFamily):
    """People on glossy ground or in the sun. Difficulty: of the pixels that they change, the share which only their
    shadows and reflections change."""

    name = "effects"

    def suits(self, view: View) -> bool:
        """Whether the ground mirrors people, or the sun shines on it."""
        if view.sheen is not None and np.count_nonzero(view.sheen >= GLOSSY) >= BROAD * view.sheen.size:
            return True
        return self.recipe.cast_shadow[1] > 0 and (view.sunlight is not None or view.open_air)

    def difficulty(self) -> float:
        size = self.recipe.size
        covered, touched = (np.zeros((size, size), dtype=bool) for _ in range(2))
        for planned in self.stage.people:
            figure, origin = with_effects(planned, self.stage.view, self.catalogue)
            window, part = self.stage.layout.clip(figure.rgba[..., 3] > 0, origin)
            covered[window] |= part
            if figure.shadow is not None:
                touched[window] |= self.stage.layout.clip(figure.shadow > 0, origin)[1]
            if figure.reflection is not None:
                touched[window] |= self.stage.layout.clip(figure.reflection[..., 3] > 0, origin)[1]
        changed = int(np.count_nonzero(covered | touched))
        return int(np.count_nonzero(touched & ~covered)) / max(changed, 1)
