"""Which split a scene or a source image is in."""

from __future__ import annotations

from collections.abc import Iterable

from synth.rng import unit


def divide(groups: Iterable[str], splits: dict[str, float], seed: int) -> dict[str, str]:
    """Group -> split: whole groups, in a seeded random order, in the splits' proportions.

    Every split with a positive share gets a group while there are enough of them.
    """
    order = sorted(set(groups), key=lambda group: unit(seed, "split", group))
    # Rarest first, so that a small split gets its one group before the larger ones take all.
    wanted = sorted((share, name) for name, share in splits.items() if share > 0)
    left, result, start = sum(share for share, _ in wanted), {}, 0
    for share, name in wanted:
        rest = len(order) - start
        take = min(rest, max(1, round(rest * share / left)))
        result.update(dict.fromkeys(order[start : start + take], name))
        start += take
        left -= share
    return result


def split_of_sample(index: int, splits: dict[str, float]) -> str:
    """The split of sample `index`: depends on the index alone, and every prefix keeps close to the shares."""
    total = sum(splits.values())
    place = (index + 0.5) * 0.6180339887498949 % 1 * total
    for name, share in splits.items():
        if place < share:
            return name
        place -= share
    return next(name for name in reversed(splits) if splits[name] > 0)
