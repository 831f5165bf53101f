"""The tasks that evaluation knows, apart from the data that they are asked of."""

from __future__ import annotations

TASKS: dict[str, str] = {
    "erase-all": "erase everybody; the truth is the clean background (one triplet a scene)",
    "erase-one": "erase one person, keep the others; one triplet a person, in scenes of two people or more",
}
