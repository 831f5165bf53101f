"""Pairs from frames of a fixed camera: what stands still over time is the answer to erasing what moves.

The clean plate is the median of the frames, so whatever covers a place in less than half of them is gone there. It is
measured, not exact: the sensor's noise and changes of light are in it. Their floor is told with the import, and no
score beyond it means anything.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mildbench.dataset.pairs import FoundPairs, Pair, Planes
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.listing import list_pictures, sample_id, stem_of
from mildbench.masks import Mask, misfit, read_mask

FEWEST = 5
"""Frames of one camera below which a median is none."""
_IN_MEDIAN = 51
"""Frames that the median is taken of, evenly over time: what bounds memory."""
_SIGMAS = 6.0
"""A pixel that differs by so many times the noise has changed."""
_LEAST_CHANGE = 12.0
"""Levels; a smaller change is none, however quiet the camera."""
_SMALLEST = 0.0005
"""Share of the picture below which a piece is noise."""


@dataclass(frozen=True, eq=False)
class Plate:
    """A camera's clean plate."""

    pixels: np.ndarray
    """uint8[H, W, 3]."""
    noise: float
    """Standard deviation of a still pixel around it, in levels."""
    sha256: str

    @property
    def floor(self) -> str:
        """What the noise means for scores."""
        if self.noise < 0.5:
            return "the truth's noise is below half a level"
        limit = 20 * np.log10(255 / self.noise)
        return f"the truth's noise is {self.noise:.1f} levels: no PSNR above {limit:.1f} dB means anything"


def find_pairs(root: Path, masks: Path | None = None) -> FoundPairs:
    """The frames in a folder, or of the cameras in the folders below it.

    Args:
        root: frames of one camera, or one folder of frames for each.
        masks: masks with the frames' names (in the same folders); None: what differs from the plate.

    Raises `UserError` for a folder without frames, with too few, or with frames of several sizes.
    """
    if not root.is_dir():
        raise UserError(f"folder of frames not found: {root}")
    cameras = (
        [root] if list_pictures(root).pictures else sorted(path for path in root.iterdir() if path.is_dir())
    )
    pairs: list[Pair] = []
    notes: list[str] = []
    skipped: Counter[str] = Counter()
    for camera in cameras:
        listing = list_pictures(camera)
        if listing.others:
            skipped["files that are hidden or no pictures"] += listing.others
        if not listing.pictures:
            continue
        if len(listing.pictures) < FEWEST:
            raise UserError(
                f"{camera} has {len(listing.pictures)} frames: a clean plate needs {FEWEST} or more"
            )
        plate = clean_plate(listing.pictures)
        notes.append(f"camera {camera.name}: {len(listing.pictures)} frames; {plate.floor}")
        given = None if masks is None else _masks_of(masks if camera == root else masks / camera.name)
        for path in listing.pictures:
            name = stem_of(path) if camera == root else f"{camera.name}/{stem_of(path)}"
            if given is not None and stem_of(path) not in given:
                skipped["frames without mask"] += 1
            else:
                mask = None if given is None else given[stem_of(path)]
                pairs.append(Pair(sample_id(name), name, camera.name, _bound(path, plate, mask)))
    if not pairs:
        raise UserError(
            f"{root} has no frames: give a folder of pictures from one fixed camera, or folders of them"
        )
    return FoundPairs(pairs, skipped, tuple(notes))


def clean_plate(frames: list[Path]) -> Plate:
    """The median of frames (of at most `_IN_MEDIAN`, evenly spaced), and the noise around it."""
    places = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _IN_MEDIAN)).round().astype(int))
    chosen = [frames[place] for place in places]
    first = read_rgb(chosen[0], "frame")
    stack = np.empty((len(chosen), *first.shape), np.uint8)
    for place, path in enumerate(chosen):
        stack[place] = _frame(path, first.shape)
    plate = np.empty_like(first)
    for row in range(first.shape[0]):  # a row at a time: a median needs copies
        plate[row] = np.median(stack[:, row], axis=0).round().astype(np.uint8)
    away = np.concatenate([cv2.absdiff(frame, plate)[::4, ::4].ravel() for frame in stack]).astype(np.float32)
    return Plate(plate, _noise(away), hashlib.sha256(plate.tobytes()).hexdigest())


def moving(frame: np.ndarray, plate: Plate) -> np.ndarray:
    """bool[H, W]: what uint8[H, W, 3] `frame` shows other than the plate, noise and its specks left out."""
    away = cv2.medianBlur(cv2.absdiff(frame, plate.pixels), 3).max(axis=2)
    changed = (away > max(_LEAST_CHANGE, _SIGMAS * plate.noise)).astype(np.uint8)
    reach = max(1, min(changed.shape) // 256)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    # Closed, so that a shirt of the wall's colour does not cut a person in two; grown over the soft edge.
    changed = cv2.dilate(cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disc, iterations=2), disc)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= _SMALLEST * changed.size
    large[0] = False
    return large[pieces] if count > 1 else np.zeros(changed.shape, dtype=bool)


def _noise(away: np.ndarray) -> float:
    """The standard deviation of what stands still, from float32[N] absolute differences: by clipping at 3 sigma."""
    sigma = max(float(np.median(away)) / 0.6745, 1.0)
    for _ in range(8):
        sigma = float(np.sqrt(np.mean(away[away <= max(3 * sigma, 1.0)] ** 2)))
    return sigma


def _frame(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    frame = read_rgb(path, "frame")
    if frame.shape != shape:
        sizes = f"{frame.shape[1]}x{frame.shape[0]}, the first {shape[1]}x{shape[0]}"
        raise UserError(f"frame {path} is {sizes}: one camera's frames are of one size")
    return frame


def _masks_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"mask folder not found: {folder}")
    found: dict[str, Path] = {}
    for path in list_pictures(folder).pictures:
        if (other := found.setdefault(stem_of(path), path)) != path:
            raise UserError(f"mask folder {folder}: {other.name} and {path.name} are of one frame: keep one")
    return found


def _bound(path: Path, plate: Plate, given: Path | None) -> Callable[[], Planes]:
    def read() -> Planes:
        frame = _frame(path, plate.pixels.shape)
        if given is None:
            marked = moving(frame, plate)
            mask = Mask(
                marked, marked.astype(np.uint8), "what differs from the clean plate", marked.shape[::-1]
            )
        else:
            mask = read_mask(given)
            if reason := misfit(mask, f"mask {given}", frame.shape, "its frame"):
                raise UserError(reason)
        return Planes(frame, plate.pixels, mask, None, f"median of {path.parent.name}", plate.sha256)

    return read
