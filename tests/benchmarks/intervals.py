"""What intervals and verdicts are worth with few scenes, now and by the percentile bootstrap of before.

python tests/benchmarks/intervals.py [--draws 1000] [--methods 7]

Draws scores of 2 to 5 samples a scene, whose scene is the larger part of their spread: of a plain score, and of
PSNR, which is averaged through the MSE and so is skewed. Prints how often the 95 % interval of a mean covers the
truth (aim .94 to .96), and in how many tables of equal methods at least one is called better (aim at most .05).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from mildbench.metrics.psnr import Psnr
from mildbench.statistics import Plain, Scale, compare, mean

SCENES = (7, 24, 64)
SPREADS = {"plain": (1.0, Plain()), "PSNR, 3 dB": (3.0, Psnr()), "PSNR, 5 dB": (5.0, Psnr())}
"""Standard deviation between scenes, and the scale; within a scene it is 0.6 of that."""
WITHIN = 0.6
LEVEL_OF_PSNR = 25.0
RESAMPLES = 1000


def draws(
    rng: np.random.Generator, count: int, scenes: int, methods: int, spread: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """float64[methods, N] equally good scores, and int[N] their scenes."""
    for _ in range(count):
        clusters = np.repeat(np.arange(scenes), rng.integers(2, 6, scenes))
        common = spread * rng.normal(size=scenes)[clusters] + WITHIN * spread * rng.normal(size=len(clusters))
        # What a method makes of a scene, and of a sample: nothing for a single one, whose spread is all common.
        own = np.zeros((methods, len(clusters)))
        if methods > 1:
            own = 0.5 * spread * rng.normal(size=(methods, scenes))[:, clusters]
            own += 0.3 * spread * rng.normal(size=own.shape)
        yield LEVEL_OF_PSNR + common + own, clusters


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


def truth(scale: Scale, spread: float) -> float:
    """The mean over all scenes: of a log-normal MSE in closed form."""
    if isinstance(scale, Plain):
        return LEVEL_OF_PSNR
    natural = spread * np.sqrt(1 + WITHIN**2) * np.log(10) / 10
    return float(LEVEL_OF_PSNR - 10 * np.log10(np.exp(natural**2 / 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--methods", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{options.draws} draws; a table has {options.methods} equal methods")
    print(f"{'':22}  covered: {'before':>6}  {'now':>5}   false better: {'before':>6}  {'now':>5}")
    for scenes in SCENES:
        for name, (spread, scale) in SPREADS.items():
            covered, false = np.zeros(2), np.zeros(2)
            true = truth(scale, spread)
            for values, clusters in draws(rng, options.draws, scenes, 1, spread):
                low, high = percentiles(values, scale, clusters, rng)[:, 0]
                found = mean(values[0], scale, clusters)
                assert found.low is not None
                assert found.high is not None
                covered += low <= true <= high, found.low <= true <= found.high
            for values, clusters in draws(rng, options.draws, scenes, options.methods, spread):
                low, high = percentiles(values, scale, clusters, rng)
                table = compare({str(row): scores for row, scores in enumerate(values)}, scale, clusters)
                false += bool(((low > 0) | (high < 0)).any()), not all(pair.tied for pair in table)
            before, now = covered / options.draws
            wrong, wrong_now = false / options.draws
            print(
                f"{scenes:3} scenes, {name:11}  covered: {before:6.3f}  {now:5.3f}   "
                f"false better: {wrong:6.3f}  {wrong_now:5.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
