"""Weights that are too big, or not ours, to ship: one manifest, one cache, checked at fetch and at load.

    path = weights.resolve("lpips-alex")    # verified, or WeightsMissing: never downloads
    state = weights.load_state_dict(path)
    folder = weights.resolve_folder("sd-1.5-inpainting")

`mildbench weights fetch NAME` fills the cache; `mildbench weights add NAME PATH` does so without a network.
Importing this package imports no torch.
"""

from mildbench.weights.fetching import add, fetch
from mildbench.weights.manifest import (
    AnyEntry,
    CheckpointFile,
    HubCheckpoint,
    WeightsFile,
    checkpoints,
    entries,
    entry,
)
from mildbench.weights.reading import load_state_dict, tensors_sha256
from mildbench.weights.store import (
    Status,
    WeightsMissing,
    cache_dir,
    digest,
    is_here,
    overview,
    place,
    resolve,
    resolve_folder,
    verify,
)

__all__ = [
    "AnyEntry",
    "CheckpointFile",
    "HubCheckpoint",
    "Status",
    "WeightsFile",
    "WeightsMissing",
    "add",
    "cache_dir",
    "checkpoints",
    "digest",
    "entries",
    "entry",
    "fetch",
    "is_here",
    "load_state_dict",
    "overview",
    "place",
    "resolve",
    "resolve_folder",
    "tensors_sha256",
    "verify",
]
