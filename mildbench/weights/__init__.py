"""Weights that are too big, or not ours, to ship: one manifest, one cache, checked at fetch and at load.

    path = weights.resolve("lpips-alex")    # verified, or WeightsMissing: never downloads
    state = weights.load_state_dict(path)

`mildbench weights fetch NAME` fills the cache; `mildbench weights add NAME FILE` does so without a network.
Importing this package imports no torch.
"""

from mildbench.weights.fetching import add, fetch
from mildbench.weights.manifest import Entry, entries, entry
from mildbench.weights.reading import load_state_dict
from mildbench.weights.store import Status, WeightsMissing, cache_dir, overview, resolve, verify

__all__ = [
    "Entry",
    "Status",
    "WeightsMissing",
    "add",
    "cache_dir",
    "entries",
    "entry",
    "fetch",
    "load_state_dict",
    "overview",
    "resolve",
    "verify",
]
