"""A scene seen through a window: cropped, scaled, maybe mirrored. What follows from the scene stays exact."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mildbench.labels import KEYPOINT_FLIP, PARSING_FLIP
from mildbench.scene import Layer, Scene

_SMALLEST = 0.7
"""Side of the smallest window over the picture's shorter side."""
_SIDES_SWAPPED = np.array([PARSING_FLIP.get(label, label) for label in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class RandomCrop:
    """A square of a scene's canvas, brought to `size` pixels."""

    left: int
    top: int
    side: int
    size: int
    mirrored: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, ...], size: int) -> RandomCrop:
        """A random window of pictures of this shape, never enlarged where they are larger than `size`.

        Pictures of that very size are only mirrored.
        """
        height, width = shape[:2]
        shorter = min(height, width)
        side = int(rng.integers(min(shorter, max(size, round(_SMALLEST * shorter))), shorter + 1))
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        return cls(left, top, side, size, bool(rng.random() < 0.5))

    def scene(self, scene: Scene) -> Scene:
        """The scene in the window, with those people of whom something lies inside.

        Without scaling, its composites are the window's part of the scene's, bit for bit.
        """
        rows, columns = slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)
        background = self._turned(self._scaled(scene.background[rows, columns]))
        layers = (self._layer(layer) for layer in scene.layers)
        return replace(
            scene, background=background, layers=tuple(layer for layer in layers if layer is not None)
        )

    def _layer(self, layer: Layer) -> Layer | None:
        moved = replace(layer, origin=(layer.origin[0] - self.left, layer.origin[1] - self.top))
        there, here = moved.window(self.side, self.side)
        if not layer.mask[here].any():
            return None
        x, y = there[1].start, there[0].start
        rgba, labels = layer.rgba[here], layer.person.parsing[here]
        shadow = None if layer.shadow is None else layer.shadow[here]
        reflection = None if layer.reflection is None else layer.reflection[here]
        if self.side != self.size:
            # On the whole window: only there do the layers' pixels fall together with the background's.
            x = y = 0
            rgba = self._scaled_rgba(rgba, there)
            labels = cv2.resize(
                self._spread(labels, there), (self.size, self.size), interpolation=cv2.INTER_NEAREST_EXACT
            )
            shadow = None if shadow is None else self._scaled(self._spread(shadow, there))
            reflection = None if reflection is None else self._scaled_rgba(reflection, there)
            if not labels.any():
                return None
        scale = self.size / self.side
        keypoints = layer.person.keypoints.copy()
        keypoints[:, :2] = (keypoints[:, :2] + moved.origin + 0.5) * scale - 0.5
        if self.mirrored:
            labels = cv2.LUT(np.ascontiguousarray(labels), _SIDES_SWAPPED)
            keypoints = keypoints[list(KEYPOINT_FLIP)]
            keypoints[:, 0] = self.size - 1 - keypoints[:, 0]
            x = self.size - x - rgba.shape[1]
        keypoints[:, :2] -= (x, y)
        keypoints[keypoints[:, 2] == 0] = 0
        person = replace(layer.person, keypoints=keypoints, parsing=self._turned(labels))
        shadow, reflection = (
            None if plane is None else self._turned(plane) for plane in (shadow, reflection)
        )
        return Layer(self._turned(rgba), (x, y), person, shadow, reflection)

    def _spread(self, pixels: np.ndarray, there: tuple[slice, slice]) -> np.ndarray:
        """[side, side(, C)]: the window with `pixels` at their place, 0 elsewhere."""
        canvas = np.zeros((self.side, self.side, *pixels.shape[2:]), pixels.dtype)
        canvas[there] = pixels
        return canvas

    def _scaled_rgba(self, rgba: np.ndarray, there: tuple[slice, slice]) -> np.ndarray:
        return _straight(self._scaled(_premultiplied(self._spread(rgba, there))))

    def _scaled(self, pixels: np.ndarray) -> np.ndarray:
        if self.side == self.size:
            return pixels
        method = cv2.INTER_AREA if self.side > self.size else cv2.INTER_LINEAR
        return cv2.resize(pixels, (self.size, self.size), interpolation=method)

    def _turned(self, pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pixels[:, ::-1] if self.mirrored else pixels)


def _premultiplied(rgba: np.ndarray) -> np.ndarray:
    """float32[h, w, 4]: colours times alpha; alpha as it is."""
    pixels = rgba.astype(np.float32)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return pixels


def _straight(pixels: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: the inverse of `_premultiplied`; black under alpha 0."""
    alpha = pixels[..., 3:]
    colours = pixels[..., :3] * (255 / np.maximum(alpha, 1e-3))
    return np.rint(np.concatenate([colours, alpha], axis=-1)).clip(0, 255).astype(np.uint8)
