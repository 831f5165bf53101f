"""The tasks that evaluation knows, apart from the data that they are asked of."""

from __future__ import annotations

DEOCCLUDE = "deocclude"

TASKS: dict[str, str] = {
    "erase-all": "erase everybody; the truth is the clean background (one triplet a scene)",
    "erase-one": "erase one person, keep the others; one triplet a person, in scenes of two people or more",
    DEOCCLUDE: "complete one partly hidden person: erase those who cover them; one triplet a person of whom 5 % to "
    "95 % is seen",
}

LEAST_VISIBLE, MOST_VISIBLE = 0.05, 0.95
"""Visible ratios, bounds included, of the people whom `deocclude` asks for. Below, too little is seen to tell who
is to be completed; above, too little is missing."""
