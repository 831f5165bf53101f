"""Small scenes of noise, for tests."""

from __future__ import annotations

import numpy as np

from mildbench.scene import Layer, Person, Provenance, Scene


def random_layer(rng: np.random.Generator, person: int, size: int, origin: tuple[int, int]) -> Layer:
    """A layer with an irregular soft shape, parsing, a shadow and a reflection now and then, and keypoints anywhere."""
    height, width = (int(v) for v in rng.integers(1, size, 2))
    rgba = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = np.where(rng.random((height, width)) < 0.5, 255, rgba[..., 3])
    rgba[..., 3] = np.where(rng.random((height, width)) < 0.3, 0, rgba[..., 3])
    parsing = np.where(rgba[..., 3] >= 128, rng.integers(1, 20, (height, width)), 0).astype(np.uint8)
    keypoints = np.zeros((17, 3), dtype=np.float32)
    keypoints[:, :2] = rng.uniform(-2, size + 2, (17, 2))
    keypoints[:, 2] = rng.integers(0, 3, 17)
    keypoints[keypoints[:, 2] == 0] = 0
    shadow = rng.integers(0, 256, (height, width), dtype=np.uint8) if rng.random() < 0.5 else None
    reflection = rng.integers(0, 256, (height, width, 4), dtype=np.uint8) if rng.random() < 0.5 else None
    provenance = Provenance("test", str(person), "0" * 64, "CC0-1.0")
    return Layer(rgba, origin, Person(person, keypoints, parsing, provenance), shadow, reflection)


def random_scene(seed: int, people: int = 3, size: int = 24) -> Scene:
    """A scene of noise; origins lie in and around the frame."""
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 256, (size, size + 3, 3), dtype=np.uint8)
    origins = rng.integers(-size // 2, size, (people, 2))
    layers = [random_layer(rng, k + 1, size, (int(x), int(y))) for k, (x, y) in enumerate(origins)]
    return Scene(f"{seed:08d}", background, tuple(layers))
