"""How large things are where they stand: horizon and camera height from objects of known size, or from depth.

After Hoiem, Efros & Hebert, "Putting Objects in Perspective", IJCV 2008: a camera that looks about level, at a height
of c metres, with the horizon in row v, shows an object of s metres that stands on the ground in row y as
s * (y - v) / c pixels tall. Objects of known size that stand on the ground therefore tell v and c, the more of them
the better. Those that lie on tables tell how far away the picture was taken: whether it is a close-up.

In the same camera, of a focal length of f pixels, ground in row y is Z = f * c / (y - v) metres away. So 1 / Z of
ground is a line over the rows: it is 0 at the horizon and rises by 1 / (f * c) a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.exact_math import dot, exp, log
from synth.material import ADULT_METRES, SeenObject


@dataclass(frozen=True)
class Typical:
    """What size things of a kind have."""

    metres: float
    measure: Literal["height", "extent"] = "height"
    """Upright, or along the longer side of the box: things that lie about in any direction."""
    stands: bool = False
    """Whether such things stand on the ground people stand on, on all their feet, and are as tall as they look."""


def _standing(metres: float) -> Typical:
    return Typical(metres, stands=True)


def _long(metres: float) -> Typical:
    return Typical(metres, "extent")


TYPICAL: dict[str, Typical] = {
    "person": _standing(ADULT_METRES),
    "bicycle": _standing(1.0),
    "car": _standing(1.5),
    "motorcycle": _standing(1.15),
    "airplane": Typical(6.0),
    "bus": _standing(3.1),
    "train": _standing(3.8),
    "truck": _standing(2.6),
    "boat": Typical(2.0),
    "traffic light": Typical(0.9),
    "fire hydrant": _standing(0.75),
    "stop sign": Typical(0.75),
    "parking meter": Typical(0.5),
    "bench": _standing(0.85),
    "bird": Typical(0.25),
    "cat": Typical(0.3),
    "dog": _standing(0.55),
    "horse": _standing(1.7),
    "sheep": _standing(0.9),
    "cow": _standing(1.4),
    "elephant": _standing(2.6),
    "bear": _standing(1.2),
    "zebra": _standing(1.5),
    "giraffe": _standing(4.5),
    "backpack": Typical(0.45),
    "umbrella": _long(1.0),
    "handbag": Typical(0.3),
    "tie": Typical(0.5),
    "suitcase": Typical(0.6),
    "frisbee": _long(0.27),
    "skis": _long(1.7),
    "snowboard": _long(1.5),
    "sports ball": _long(0.2),
    "kite": _long(1.2),
    "baseball bat": _long(0.85),
    "baseball glove": _long(0.3),
    "skateboard": _long(0.8),
    "surfboard": _long(2.0),
    "tennis racket": _long(0.69),
    "bottle": _long(0.25),
    "wine glass": Typical(0.2),
    "cup": Typical(0.11),
    "fork": _long(0.2),
    "knife": _long(0.22),
    "spoon": _long(0.18),
    "bowl": _long(0.17),
    "banana": _long(0.19),
    "apple": _long(0.08),
    "sandwich": _long(0.15),
    "orange": _long(0.08),
    "broccoli": _long(0.1),
    "carrot": _long(0.15),
    "hot dog": _long(0.17),
    "pizza": _long(0.32),
    "donut": _long(0.09),
    "cake": _long(0.22),
    "chair": _standing(0.9),
    "couch": Typical(0.85),
    "potted plant": Typical(0.5),
    "bed": Typical(0.8),
    "dining table": Typical(0.75),
    "toilet": _standing(0.75),
    "tv": _long(0.9),
    "laptop": _long(0.35),
    "mouse": _long(0.11),
    "remote": _long(0.18),
    "keyboard": _long(0.44),
    "cell phone": _long(0.14),
    "microwave": _long(0.5),
    "oven": Typical(0.9),
    "toaster": _long(0.3),
    "sink": _long(0.5),
    "refrigerator": _standing(1.7),
    "book": _long(0.23),
    "clock": _long(0.3),
    "vase": Typical(0.28),
    "scissors": _long(0.18),
    "teddy bear": Typical(0.35),
    "hair drier": _long(0.22),
    "toothbrush": _long(0.18),
}
"""Typical sizes of COCO's 80 classes as they are seen in photos: trade dimensions of manufactured things (a sedan, a
city bus, a stop sign of 30 inches, a seat's back), shoulder height and head of adult animals, a person of either sex.
A class is off by a quarter or so from one to the next of its kind; the fit is robust for that reason."""


@dataclass(frozen=True)
class Perspective:
    """What a picture's camera makes of sizes. Rows count from the top in pixels."""

    horizon: float
    """Row of the horizon; may lie outside the picture."""
    camera_height: float
    """Metres above the ground."""
    known: Literal["exact", "objects", "depth", "edge", "drawn"]
    """By the renderer, fitted to objects or to the depth of the ground, the middle of what the ground's upper edge
    allows, or drawn."""
    objects: int = 0
    """How many objects were fitted."""

    def pixels(self, metres: float, row: float) -> float:
        """How tall something of a size shows that stands in a row; 0 above the horizon."""
        return metres * max(row - self.horizon, 0.0) / self.camera_height

    def row(self, metres: float, pixels: float) -> float:
        """In which row something of a size stands that shows so many pixels tall."""
        return self.horizon + pixels * self.camera_height / metres


CUT = 2
"""An object whose box comes so near to the frame, in pixels, may go on beyond it."""
UPRIGHT = (1.9, 5.0)
"""Height to width of a box that shows somebody who stands in full."""
SMALLEST = 12
"""Pixels of an object's height from which it says anything."""
HORIZONS = 96
"""Rows tried for the horizon,"""
HORIZON_BAND = (-1.0, 1.0)
"""between these multiples of the picture's height."""
EXPECTED, SPREAD = 0.4, 0.3
"""Where the horizon is expected before anything is known, as a share of the height, and how widely."""
MISFIT = 0.25
"""Mean absolute logarithm by which sizes within a class differ: what a fit is weighed with against expectation."""
UNSURE = 2.0
"""Nobody stands where the smallest and the largest size that they may have differ by this factor."""
CAMERA_HEIGHTS = (0.4, 12.0)
"""Metres: others are not believed."""
TALLEST = 1.4
"""Frame heights: where the things in a picture say that an adult beside them would be taller, it is a close-up."""


def standing(objects: Sequence[SeenObject], height: int, width: int) -> list[SeenObject]:
    """Those whose whole height shows, and which stand on the ground, as far as box and class tell."""
    found = []
    for item in objects:
        typical = TYPICAL.get(item.category)
        left, top, w, h = item.box
        if typical is None or not typical.stands or h < SMALLEST:
            continue
        if top < CUT or top + h > height - CUT or left < CUT or left + w > width - CUT:
            continue
        if item.category == "person" and not UPRIGHT[0] <= h / max(w, 1) <= UPRIGHT[1]:
            continue
        found.append(item)
    return found


def fit(
    objects: Sequence[SeenObject], height: int, width: int, upper_edge: int | None = None
) -> Perspective | None:
    """The perspective in which the objects have their typical sizes; None when none of them tells.

    For each row that may be the horizon, the camera's height is the median of what the objects say; the row is taken
    at which they agree best, by the mean absolute logarithm of misfits, and where few speak, near where horizons are.
    Neither is moved far by one object out of place.

    Args:
        objects: of the picture; those that do not stand on its ground are left out.
        height, width: of the picture.
        upper_edge: highest row of the ground, below which the horizon cannot lie.
    """
    stood = standing(objects, height, width)
    if not stood:
        return None
    feet = np.array([item.box[1] + item.box[3] for item in stood])
    scale = np.array([item.box[3] / TYPICAL[item.category].metres for item in stood])
    above, below = HORIZON_BAND
    rows = np.rint((above + (below - above) * np.arange(HORIZONS) / (HORIZONS - 1)) * height)
    rows = rows[rows <= min(feet.min() - 1, height if upper_edge is None else upper_edge)]
    if not len(rows):
        return None
    said = log((feet[None] - rows[:, None]) / scale[None])
    middle = np.median(said, axis=1)
    misfit = dot(np.abs(said - middle[:, None]), np.ones(len(stood)))
    odd = (rows / height - EXPECTED) / SPREAD
    lowest, highest = log(CAMERA_HEIGHTS)
    believed = (middle >= lowest) & (middle <= highest)
    if not believed.any():
        return None
    cost = np.where(believed, misfit + 0.5 * odd * odd * MISFIT, np.inf)
    best = int(cost.argmin())
    return Perspective(float(rows[best]), float(exp(middle[best])), "objects", len(stood))


TOLD = 0.03
"""Share of a row's pixels that are ground with a depth, from which the row says anything."""
ROWS = 12
"""Rows that say something, at least,"""
REACH = 0.08
"""and how far they reach from the first to the last, as a share of the picture's height."""
ROWS_USED = 128
"""Of more rows so many are used, evenly spaced: more tell no more."""
BENT = 0.15
"""Median share by which 1 / Z is off its line, from which the ground is no plane, or the depth none of it."""
LOW = 0.05
"""A horizon that comes out lower than the ground's upper edge by at most this share of the height lies at the edge."""


def fit_depth(
    depth: np.ndarray, ground: np.ndarray, focal: float, upper_edge: int | None = None
) -> Perspective | None:
    """The perspective in which the ground lies as deep as it is told to; None where that is no level plane.

    Of each row of ground the median of 1 / Z, then a line through these by repeated medians (Siegel, Biometrika 1982):
    neither up to half of a row's pixels nor up to half of the rows lead it far astray. Whole rows and centimetres: the
    last bits of a network's depth differ from machine to machine, and must not decide where somebody stands.

    Args:
        depth: float32[H, W]: metres along the camera's axis; what is not finite or not above 0 is not known.
        ground: bool[H, W].
        focal: focal length in pixels. The horizon does not depend on it; the camera's height is inverse to it.
        upper_edge: highest row of the ground, below which the horizon cannot lie.
    """
    height, width = ground.shape
    told = ground & np.isfinite(depth) & (depth > 0)
    rows = np.flatnonzero(np.count_nonzero(told, axis=1) >= max(1, round(TOLD * width)))
    if len(rows) < ROWS or rows[-1] - rows[0] < REACH * height:
        return None
    if len(rows) > ROWS_USED:
        rows = rows[np.arange(ROWS_USED) * (len(rows) - 1) // (ROWS_USED - 1)]
    nearness = np.array([np.median(1 / depth[row, told[row]].astype(np.float64)) for row in rows])
    middles = rows + 0.5
    slope, level = _line(middles, nearness)
    if slope <= 0:
        return None
    horizon = -level / slope
    off = np.median(np.abs(slope * (middles - horizon) / nearness - 1))
    edge = height if upper_edge is None else upper_edge
    if off > BENT or not HORIZON_BAND[0] * height <= horizon <= edge + LOW * height:
        return None
    tall = 1 / (slope * focal)
    if not CAMERA_HEIGHTS[0] <= tall <= CAMERA_HEIGHTS[1]:
        return None
    return Perspective(float(np.rint(min(horizon, edge))), float(np.rint(100 * tall) / 100), "depth")


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and value at 0 of the line by repeated medians through points of different x, float64[N] each."""
    others = ~np.eye(len(x), dtype=bool)
    across, up = ((values[None] - values[:, None])[others].reshape(len(x), -1) for values in (x, y))
    slope = float(np.median(np.median(up / across, axis=1)))
    return slope, float(np.median(y - slope * x))


def draw(
    rng: np.random.Generator,
    height: int,
    horizon: tuple[float, float],
    camera_height: tuple[float, float],
) -> Perspective:
    """A perspective of which nothing is known.

    Args:
        rng: two numbers are drawn.
        height: of the picture.
        horizon: lowest and highest share of the height at which the horizon may lie.
        camera_height: lowest and highest, in metres.
    """
    place, tall = rng.uniform(*horizon) * height, rng.uniform(*camera_height)
    return Perspective(float(place), float(tall), "drawn")


@dataclass(frozen=True)
class Ends:
    """How far away ground ends to the eye, behind a wall, a fence, a hill: at least and at most, in metres."""

    nearest: float
    farthest: float

    def middle(
        self,
        focal: float,
        camera_height: tuple[float, float],
        upper_edge: int,
        height: int,
        horizon: tuple[float, float],
    ) -> Perspective:
        """The perspective of which nothing is known but where the ground ends in the picture.

        It is not drawn: whatever it is off by, a draw would be off by more, and two crops of one picture would show
        people of different sizes. Of the distances, those count that have the horizon where horizons are; where none
        has, the one that comes nearest.

        Args:
            focal: in pixels.
            camera_height: lowest and highest, in metres.
            upper_edge: highest row of the ground.
            height: of the picture.
            horizon: lowest and highest share of the height at which the horizon is expected.
        """
        tall = sum(camera_height) / 2

        def distance(row: float) -> float:
            """Of the ground's end for a horizon in this row."""
            away = focal * tall / (upper_edge - row) if row < upper_edge else self.farthest
            return min(max(away, self.nearest), self.farthest)

        nearest, farthest = (distance(share * height) for share in horizon)
        return Perspective(upper_edge - focal * tall / float(np.sqrt(nearest * farthest)), tall, "edge")

    def blurred(self, focal: float, camera_height: tuple[float, float]) -> float:
        """Rows below the ground's upper edge in which sizes, by what may be drawn, differ by more than `UNSURE`."""
        low, high = (focal * sum(camera_height) / 2 / end for end in (self.farthest, self.nearest))
        return max((high - UNSURE * low) / (UNSURE - 1), 0.0)


def is_close_up(objects: Sequence[SeenObject], height: int) -> bool:
    """Whether the picture was taken of things near at hand, by the median of what its objects say of scale.

    Objects cut by the frame only make it look farther away; they count as they are.

    Args:
        objects: of the picture, standing or not; people do not count.
        height: of the picture in pixels.
    """
    adults = []
    for item in objects:
        typical = TYPICAL.get(item.category)
        if typical is None or item.category == "person":
            continue
        _, _, w, h = item.box
        seen = h if typical.measure == "height" else max(w, h)
        adults.append(ADULT_METRES * seen / typical.metres)
    return bool(adults) and float(np.median(adults)) > TALLEST * height
