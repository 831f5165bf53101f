"""Procedural people: articulated, shaded, clothed figures with exact pose, parsing and outline."""
