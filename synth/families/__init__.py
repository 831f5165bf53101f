"""Scenario families, one file each: what makes a scene hard, and how hard it is."""
