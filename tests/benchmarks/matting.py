"""How much of the old background a cut-out keeps: cut-outs against exact truth.

    python tests/benchmarks/matting.py --photos /data/backgrounds

A procedural person with known alpha and colours is put on a picture (drawn scenery, and photos), seen through a
little lens blur and JPEG. Its exact mask is coarsened to a polygon as drawn by an annotator: few corners, each a
pixel or two off, and now and then drawn too wide. The person is cut out again and pasted on a contrasting plain
background, next to the exact paste. Columns, over the band of pixels in which either edge lies:

    halo      mean absolute colour error of the paste, in grey levels
    alpha     mean absolute error of alpha, 0..1
    IoU       of the label `alpha >= 128` with the exact one, over the whole person
    ms        per person, on one thread
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mildbench.images import read_rgb
from mildbench.scene import over
from synth import embedded
from synth.cutout import band_of, refine
from synth.sources.base import BACKGROUNDS, open_source

CutOut = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A photo with a person whose cut-out is known."""

    image: np.ndarray
    """uint8[h, w, 3]."""
    coarse: np.ndarray
    """bool[h, w]: the annotator's polygon."""
    exact: np.ndarray
    """uint8[h, w, 4]."""
    plain: np.ndarray
    """uint8[3]: a colour unlike the old background."""


def binary(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask as it is: what public synthesis scripts paste."""
    return np.dstack([image, np.where(mask, np.uint8(255), np.uint8(0))])


def blurred(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask with a Gaussian edge, photo colours as they are: the common remedy."""
    soft = cv2.GaussianBlur(mask.astype(np.float32) * 255, (0, 0), 2)
    return np.dstack([image, np.rint(soft).astype(np.uint8)])


def closed_form(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Levin et al.'s matte in the same band as ours, and Germer et al.'s multi-level foreground (pymatting)."""
    import pymatting

    side = 2 * band_of(mask) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    plane = mask.astype(np.uint8)
    trimap = 0.5 * (cv2.erode(plane, disc).astype(np.float64) + cv2.dilate(plane, disc))
    colours = image / 255
    alpha = pymatting.estimate_alpha_cf(colours, trimap)
    foreground = pymatting.estimate_foreground_ml(colours, alpha)
    return np.clip(np.rint(np.dstack([foreground, alpha]) * 255), 0, 255).astype(np.uint8)


def methods() -> dict[str, CutOut]:
    """Name -> method, in the order of the table."""
    found: dict[str, CutOut] = {"binary mask": binary, "blurred mask": blurred, "synth.cutout.refine": refine}
    if importlib.util.find_spec("pymatting"):
        found["closed-form + multi-level"] = closed_form
    return found


def cases(pictures: list[np.ndarray], height: int) -> Iterator[Case]:
    """One person on each picture."""
    for seed, picture in enumerate(pictures):
        rng = np.random.default_rng(seed)
        figure = embedded.person(seed, height).rgba
        figure = np.pad(figure, ((24, 24), (24, 24), (0, 0)))
        exact = through_lens(figure, rng.uniform(0.4, 1.0))
        h, w = exact.shape[:2]
        scale = max(1.0, h / picture.shape[0], w / picture.shape[1])
        picture = cv2.resize(picture, None, fx=scale * 1.01, fy=scale * 1.01, interpolation=cv2.INTER_AREA)
        top, left = (int(rng.integers(0, side + 1)) for side in (picture.shape[0] - h, picture.shape[1] - w))
        behind = picture[top : top + h, left : left + w]
        image = behind.copy()
        over(image, exact[..., :3], exact[..., 3])
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        image = cv2.imdecode(
            coded, cv2.IMREAD_COLOR
        )  # channel order does not matter to the codec's round trip
        coarse = polygon(exact[..., 3] >= 128, rng)
        plain = np.where(behind.reshape(-1, 3).mean(axis=0) > 127, 0, 255).astype(np.uint8)
        yield Case(image, coarse, exact, plain)


def through_lens(rgba: np.ndarray, sigma: float) -> np.ndarray:
    """uint8[h, w, 4]: blurred as the photo around it would be, on premultiplied colours."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    soft = cv2.GaussianBlur(np.dstack([rgba[..., :3] * alpha, alpha]), (0, 0), sigma)
    colours = soft[..., :3] / np.maximum(soft[..., 3:], 1e-3)
    return np.clip(np.rint(np.dstack([colours, soft[..., 3] * 255])), 0, 255).astype(np.uint8)


def polygon(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """bool[h, w]: the mask as an annotator draws it."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    coarse = np.zeros(mask.shape, np.uint8)
    wide = rng.choice([0, 0, 1, 2])
    if wide:
        plane = cv2.dilate(mask.astype(np.uint8), np.ones((2 * wide + 1, 2 * wide + 1), np.uint8))
        outlines, _ = cv2.findContours(plane, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for outline in outlines:
        corners = cv2.approxPolyDP(outline, rng.uniform(2, 4), closed=True)
        drawn = np.rint(corners + rng.normal(0, 1.2, corners.shape)).astype(np.int32)
        cv2.fillPoly(coarse, [drawn], 1)
    return coarse > 0


def score(case: Case, rgba: np.ndarray) -> tuple[float, float, float]:
    """(halo, alpha error, IoU) of one cut-out."""
    pastes = []
    for cutout in (case.exact, rgba):
        canvas = np.empty_like(case.image)
        canvas[:] = case.plain
        over(canvas, cutout[..., :3], cutout[..., 3])
        pastes.append(canvas.astype(np.float32))
    truth, label = case.exact[..., 3] >= 128, rgba[..., 3] >= 128
    side = 2 * band_of(case.coarse) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    band = np.zeros_like(truth)
    for mask in (truth, case.coarse):
        plane = mask.astype(np.uint8)
        band |= cv2.dilate(plane, disc) != cv2.erode(plane, disc)
    halo = np.abs(pastes[0] - pastes[1])[band].mean()
    wrong = np.abs(case.exact[..., 3].astype(np.float32) - rgba[..., 3])[band].mean() / 255
    return float(halo), float(wrong), float((truth & label).sum() / (truth | label).sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos", type=Path, help="a folder of photos; default: those that scikit-image ships"
    )
    parser.add_argument("--count", type=int, default=12, help="people on scenery, and as many on photos")
    parser.add_argument("--height", type=int, default=300, help="of a standing person, in pixels")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.photos:
        paths = sorted(p for p in arguments.photos.rglob("*") if p.suffix.lower() in (".png", ".jpg"))
        photos = [read_rgb(path) for path in paths[:: max(1, len(paths) // arguments.count)]]
    else:
        source = open_source("skimage:", BACKGROUNDS)
        photos = [source.background(ref.key).image for ref in source.backgrounds()]
    photos = [photos[i % len(photos)] for i in range(arguments.count)]
    scenery = [embedded.place(seed, 480, 480).image for seed in range(arguments.count)]
    for title, pictures in (("scenery", scenery), ("photos", photos)):
        everybody = list(cases(pictures, arguments.height))
        print(f"{title}: {len(everybody)} people of {arguments.height} px    halo   alpha    IoU     ms")
        for name, method in methods().items():
            method(everybody[0].image, everybody[0].coarse)  # compiles, fills caches
            rows = []
            for case in everybody:
                start = time.perf_counter()
                rgba = method(case.image, case.coarse)
                spent = (time.perf_counter() - start) * 1000
                rows.append((*score(case, rgba), spent))
            halo, wrong, iou, spent = (float(value) for value in np.mean(rows, axis=0))
            print(f"{name:32s}  {halo:6.2f}  {wrong:.4f}  {iou:.4f}  {spent:6.1f}")


if __name__ == "__main__":
    main()
