"""What intervals and verdicts are worth with few scenes, now and by the percentile bootstrap of before.

python tests/benchmarks/intervals.py [--draws 1000] [--methods 7]

Draws scenes of 2 to 5 samples, of whose scores the scene is the larger part of the spread: of a plain score, and of
PSNR, which is averaged through the MSE and so is skewed. And it draws scenes from the leaderboard's entries, whose
scores are as they were measured; there methods are made equal by dealing each scene's scores out anew. Prints how
often the 95 % interval of a mean covers the truth (aim .94 to .96), and in how many tables of equal methods at least
one is called better (aim at most .05).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from leaderboard import ranking, review
from leaderboard.ranking import Placed
from mildbench.metrics.psnr import Psnr
from mildbench.results.board import Board
from mildbench.statistics import Plain, Scale, compare, mean

SCENES = (7, 24, 64)
WITHIN = 0.6
"""Standard deviation within a scene, of that between scenes."""
LEVEL_OF_PSNR = 25.0
RESAMPLES = 1000


class Draw(NamedTuple):
    """A table of methods."""

    scores: np.ndarray
    """float64[methods, N], equally good."""
    clusters: np.ndarray
    """int[N], their scenes."""
    truth: float
    """The mean of the first method over all scenes that there are."""


Drawing = Callable[[np.random.Generator, int, int], Draw]
"""Of so many scenes and methods."""


@dataclass(frozen=True)
class Normal:
    """Scores that are normal, on the scale that tables show."""

    spread: float
    """Standard deviation between scenes."""
    scale: Scale

    def __call__(self, rng: np.random.Generator, scenes: int, methods: int) -> Draw:
        clusters = np.repeat(np.arange(scenes), rng.integers(2, 6, scenes))
        common = self._normal(rng, scenes)[clusters] + WITHIN * self._normal(rng, len(clusters))
        # What a method makes of a scene, and of a sample: nothing for a single one, whose spread is all common.
        own = np.zeros((methods, len(clusters)))
        if methods > 1:
            own = 0.5 * self._normal(rng, (methods, scenes))[:, clusters]
            own += 0.3 * self._normal(rng, own.shape)
        return Draw(LEVEL_OF_PSNR + common + own, clusters, self._truth())

    def _normal(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
        return self.spread * rng.normal(size=shape)

    def _truth(self) -> float:
        """In closed form; of PSNR that of a log-normal MSE."""
        if isinstance(self.scale, Plain):
            return LEVEL_OF_PSNR
        natural = self.spread * np.sqrt(1 + WITHIN**2) * np.log(10) / 10
        return float(LEVEL_OF_PSNR - 10 * np.log10(np.exp(natural**2 / 2)))


class Measured:
    """The scores of the leaderboard's entries: their scenes, drawn with replacement, are all scenes that there are."""

    def __init__(self, column: str, scale: Scale) -> None:
        self.scale = scale
        boards = ranking.boards(review.review_all()[0])
        self._tables = [self._table(board, column) for board in boards]

    @staticmethod
    def _table(board: Board[Placed], column: str) -> tuple[np.ndarray, np.ndarray]:
        """float64[entries, N] of the ranked ones, and int[N], the scene of each sample."""
        rows = board.results[0].reviewed.scores
        scenes = dict(zip(rows.ids, rows.scenes, strict=True))
        clusters = np.unique([scenes[name] for name in board.ids], return_inverse=True)[1]
        return np.stack(list(board.values[column].values())), clusters

    def __call__(self, rng: np.random.Generator, scenes: int, methods: int) -> Draw:
        scores, scene = self._tables[rng.integers(len(self._tables))]
        drawn = rng.integers(scene.max() + 1, size=scenes)
        members = [np.flatnonzero(scene == one) for one in drawn]
        clusters = np.repeat(np.arange(scenes), [len(found) for found in members])
        entries = rng.permutation(len(scores))[:methods]
        if methods == 1:
            truth = self.scale.from_mean(self.scale.to_mean(scores[entries[0]]).mean())
            return Draw(scores[entries][:, np.concatenate(members)], clusters, float(truth))
        dealt = [scores[rng.permutation(entries)][:, found] for found in members]
        return Draw(np.concatenate(dealt, axis=1), clusters, float("nan"))


def percentiles(
    values: np.ndarray, scale: Scale, clusters: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """float64[2, M]: the percentile bootstrap's interval of each pair difference, or mean, of float64[M, N]."""
    scenes = int(clusters.max()) + 1
    sums = np.stack([np.bincount(clusters, row, scenes) for row in scale.to_mean(values)])
    times = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=RESAMPLES)
    means = scale.from_mean((times @ sums.T) / (times @ np.bincount(clusters))[:, None])
    pairs = list(combinations(range(len(values)), 2))
    gaps = np.stack([means[:, a] - means[:, b] for a, b in pairs], axis=1) if pairs else means
    return np.quantile(gaps, [0.025, 0.975], axis=0)


def coverage(
    rng: np.random.Generator, draw: Drawing, scale: Scale, scenes: int, count: int
) -> tuple[float, float]:
    """Share of draws in which the interval has the truth in it, before and now."""
    covered = np.zeros(2)
    for _ in range(count):
        scores, clusters, truth = draw(rng, scenes, 1)
        low, high = percentiles(scores, scale, clusters, rng)[:, 0]
        found = mean(scores[0], scale, clusters)
        assert found.low is not None
        assert found.high is not None
        covered += low <= truth <= high, found.low <= truth <= found.high
    before, now = covered / count
    return before, now


def false_verdicts(
    rng: np.random.Generator, draw: Drawing, scale: Scale, scenes: int, methods: int, count: int
) -> tuple[float, float]:
    """Share of tables in which some method is called better than another, before and now."""
    false = np.zeros(2)
    for _ in range(count):
        scores, clusters, _ = draw(rng, scenes, methods)
        low, high = percentiles(scores, scale, clusters, rng)
        table = compare({str(row): mine for row, mine in enumerate(scores)}, scale, clusters)
        false += bool(((low > 0) | (high < 0)).any()), not all(pair.tied for pair in table)
    before, now = false / count
    return before, now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--methods", type=int, default=7)
    options = parser.parse_args()
    worlds: dict[str, Normal | Measured] = {
        "plain": Normal(1.0, Plain()),
        "PSNR, 3 dB": Normal(3.0, Psnr()),
        "PSNR, 5 dB": Normal(5.0, Psnr()),
        "PSNR, measured": Measured("psnr.mask.pasted", Psnr()),
        "SSIM, measured": Measured("ssim.mask.pasted", Plain()),
    }
    rng = np.random.default_rng(0)
    print(f"{options.draws} draws; a table has {options.methods} equal methods")
    print(f"{'':26}  covered: {'before':>6}  {'now':>5}   false better: {'before':>6}  {'now':>5}")
    for scenes in SCENES:
        for name, world in worlds.items():
            before, now = coverage(rng, world, world.scale, scenes, options.draws)
            wrong, wrong_now = false_verdicts(rng, world, world.scale, scenes, options.methods, options.draws)
            print(
                f"{scenes:3} scenes, {name:15}  covered: {before:6.3f}  {now:5.3f}   "
                f"false better: {wrong:6.3f}  {wrong_now:5.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
