"""Clothing Co-Parsing's 59 tags as CIHP-20 labels, and what has to be guessed: whose skin, which side."""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.labels import PARSING, UNLABELLED

SHOES = ("left-shoe", "right-shoe")
SKIN = ("face", "torso-skin", "left-arm", "right-arm", "left-leg", "right-leg")

CLASSES: dict[str, tuple[str, ...]] = {
    "null": ("background",),
    "skin": SKIN,
    "hair": ("hair",),
    "hat": ("hat",),
    "gloves": ("glove",),
    "scarf": ("scarf",),
    "tie": ("scarf",),
    "dress": ("dress",),
    "skirt": ("skirt",),
    **dict.fromkeys(("glasses", "sunglasses"), ("sunglasses",)),
    **dict.fromkeys(("blouse", "bra", "hoodie", "jumper", "shirt", "sweater"), ("upper-clothes",)),
    **dict.fromkeys(("sweatshirt", "t-shirt", "top", "vest"), ("upper-clothes",)),
    **dict.fromkeys(("blazer", "cape", "cardigan", "coat", "jacket", "suit"), ("coat",)),
    **dict.fromkeys(("jeans", "leggings", "panties", "pants", "shorts", "tights"), ("pants",)),
    **dict.fromkeys(("socks", "stockings"), ("socks",)),
    **dict.fromkeys(("boots", "clogs", "flats", "heels", "loafers", "pumps"), SHOES),
    **dict.fromkeys(("sandals", "shoes", "sneakers", "wedges"), SHOES),
    **dict.fromkeys(("bag", "purse", "wallet"), ()),
    **dict.fromkeys(("accessories", "bracelet", "earrings", "necklace", "ring", "watch"), ()),
    **dict.fromkeys(("belt", "bodysuit", "intimate", "romper", "swimwear"), ()),
}
"""Tag -> the CIHP classes that its pixels may get: one; several, to be told apart by place; or none (255), where
CIHP has no such class."""

CARRIED = ("bag", "purse", "wallet")
"""Tags of things that are carried, not worn."""

# Rows as shares of the stature, from the top of the head. A standing adult's head ends at 0.13 to 0.15, arms begin
# at the shoulders, hanging fingertips reach 0.55 to 0.6, and no hem on a street is above 0.47.
HEAD_ENDS, SHOULDERS_END, HAND_ENDS, LEGS_BEGIN = 0.2, 0.3, 0.62, 0.47
CHIN_BELOW_EYES = (0.04, 0.09)
CHIN_BELOW_BROW = (0.065, 0.11)
"""Within these shares of the stature below glasses, or below the first row of the face where there are none, the
narrowest row of face and neck is taken as the chin."""
EYES_ABOVE_SKIN = 0.02
"""Eyes may be so far above the first bare skin, when a fringe and glasses hide the rest of the brow."""
NECKLINE = 0.085
"""Half the width of what may be chest, as a share of the stature; beyond it bare skin is an arm."""
ONE_SIDED = 0.75
"""A piece with this share on one side of the body's middle lies on that side; others are cut at the middle."""


def to_cihp(tags: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """CIHP-20 labels of one upright person.

    Exact where a tag names its class. Left and right (of the person) assume that they face the camera; skin is
    divided by place: next to hair and above the narrowest row is face, below it chest and bare shoulders, other
    pieces are arms or legs by height. A piece in the middle of the trunk, midriff or clasped hands, stays 255.

    Args:
        tags: uint8[H, W], values index `names`; 0 outside the person, who is not empty.
        names: CCP's tags, `names[0] == "null"`; every one is a key of `CLASSES`.

    Returns:
        uint8[H, W]: 0 outside, CIHP label or 255 inside.
    """
    lookup = np.zeros(256, dtype=np.uint8)
    for value, name in enumerate(names):
        classes = CLASSES[name]
        lookup[value] = PARSING.index(classes[0]) if len(classes) == 1 else UNLABELLED
    labels = lookup[tags]

    body = (tags > 0) & ~np.isin(tags, [names.index(name) for name in CARRIED])
    box = Box.around(body)
    if not box.height:
        return labels
    frame = _Frame(body, box.top, box.height)
    shoes = np.isin(tags, [value for value, name in enumerate(names) if CLASSES[name] == SHOES])
    frame.paint_sides(labels, shoes, frame.lower_middle, SHOES)
    _paint_skin(labels, tags == names.index("skin"), frame)
    return labels


class _Frame:
    """Rows as shares of the stature, and where the middle of the body is."""

    def __init__(self, body: np.ndarray, top: int, stature: int) -> None:
        self.top, self.stature = top, stature
        self.upper_middle = self._middle(body[self.row(HEAD_ENDS) : self.row(0.5)])
        self.lower_middle = self._middle(body[self.row(0.6) :])

    def row(self, share: float) -> int:
        return self.top + round(share * self.stature)

    def _middle(self, part: np.ndarray) -> float:
        columns = np.nonzero(part)[1]
        return float(np.median(columns)) if columns.size else part.shape[1] / 2

    def paint_sides(
        self, labels: np.ndarray, mask: np.ndarray, middle: float, sides: tuple[str, str]
    ) -> None:
        """Label each piece of `mask` as the person's left or right: facing us, their left is at our right."""
        left, right = (PARSING.index(name) for name in sides)
        at_right = np.arange(mask.shape[1]) > middle
        count, pieces = cv2.connectedComponents(mask.astype(np.uint8))
        for number in range(1, count):
            piece = pieces == number
            share = np.count_nonzero(piece & at_right) / np.count_nonzero(piece)
            labels[piece & (at_right | (share >= ONE_SIDED)) & (share > 1 - ONE_SIDED)] = left
            labels[piece & (~at_right | (share <= 1 - ONE_SIDED)) & (share < ONE_SIDED)] = right


def _paint_skin(labels: np.ndarray, skin: np.ndarray, frame: _Frame) -> None:
    glasses = np.flatnonzero((labels == PARSING.index("sunglasses")).any(axis=1))
    head = np.isin(labels, [PARSING.index(name) for name in ("hair", "hat", "sunglasses")])
    row = np.arange(skin.shape[0])[:, None]
    away = np.abs(np.arange(skin.shape[1])[None, :] - frame.upper_middle)
    reach = 2 * max(2, round(0.01 * frame.stature)) + 1
    near_head = cv2.dilate(head.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    arms, legs = np.zeros_like(skin), np.zeros_like(skin)
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats(skin.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        piece = pieces == number
        first = int(boxes[number, cv2.CC_STAT_TOP])
        last = first + int(boxes[number, cv2.CC_STAT_HEIGHT]) - 1
        if first < frame.row(HEAD_ENDS) and ((piece & near_head).any() or not head.any()):
            # Glasses pushed up into the hair or hanging from a neckline say nothing of the eyes.
            eyes = float(np.median(glasses)) if glasses.size else np.inf
            if first - EYES_ABOVE_SKIN * frame.stature <= eyes < frame.row(HEAD_ENDS):
                chin = _narrowest(piece, eyes, CHIN_BELOW_EYES, frame)
            else:
                chin = _narrowest(piece, first, CHIN_BELOW_BROW, frame)
            labels[piece & (row <= chin)] = PARSING.index("face")
            below = piece & (row > chin)
            chest = below & (row < frame.row(SHOULDERS_END)) & (away < NECKLINE * frame.stature)
            labels[chest] = PARSING.index("torso-skin")
            piece = below & ~chest
            last = Box.around(piece).bottom - 1 if piece.any() else first
        if last > frame.row(HAND_ENDS):
            legs |= piece & (row >= frame.row(LEGS_BEGIN))
            arms |= piece & (row < frame.row(LEGS_BEGIN))
        elif not _in_the_middle(piece, frame):
            arms |= piece
    frame.paint_sides(labels, arms, frame.upper_middle, ("left-arm", "right-arm"))
    frame.paint_sides(labels, legs, frame.lower_middle, ("left-leg", "right-leg"))


def _narrowest(piece: np.ndarray, start: float, below: tuple[float, float], frame: _Frame) -> int:
    """The row at which face and neck are narrowest, so many shares of the stature below `start`."""
    rows = slice(*(round(start + share * frame.stature) for share in below))
    widths = np.count_nonzero(piece[rows], axis=1)
    # Where the face ends in a scarf or a collar, its first empty row is the narrowest.
    return rows.start + int(widths.argmin())


def _in_the_middle(piece: np.ndarray, frame: _Frame) -> bool:
    """Does a piece lie across the body's middle at the height of the trunk?"""
    columns = np.nonzero(piece)[1]
    if columns.size == 0:
        return True
    share = float((columns > frame.upper_middle).mean())
    return 1 - ONE_SIDED < share < ONE_SIDED and not piece[: frame.row(SHOULDERS_END)].any()
