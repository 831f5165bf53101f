"""How long scoring takes beside scikit-image and torchmetrics, and on a GPU beside the CPU.

python tests/benchmarks/scoring.py [--device cuda] [--size 512] [--batch 8] [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

from mildbench.metrics.base import Pairs
from mildbench.metrics.psnr import Psnr
from mildbench.metrics.ssim import Ssim

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from pictures import damaged, pairs_of, synthetic


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of `work`, after one call that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ours(pairs: Pairs) -> dict[str, np.ndarray]:
    """PSNR and SSIM of every region, where the pairs are; scores come back to the CPU, so a GPU has finished."""
    scores = {}
    for metric in (Psnr(), Ssim()):
        scores |= {f"{metric.info.name}.{name}": values for name, values in metric.score(pairs).items()}
    return scores


def scikit_image(outputs: list[np.ndarray], truths: list[np.ndarray]) -> None:
    """The whole picture only."""
    for output, truth in zip(outputs, truths, strict=True):
        peak_signal_noise_ratio(truth, output, data_range=255)
        structural_similarity(
            output,
            truth,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )


def torchmetrics(pairs: Pairs) -> None:
    """The whole picture only."""
    output, truth = (images.permute(0, 3, 1, 2).float() for images in (pairs.outputs, pairs.truths))
    torchmetrics_psnr(output, truth, data_range=255.0)
    torchmetrics_ssim(output, truth, data_range=255.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", help="also score on this torch device")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    truths = [synthetic(seed, options.size, options.size) for seed in range(options.batch)]
    outputs = [damaged(truth, seed) for seed, truth in enumerate(truths)]
    pairs = pairs_of(outputs, truths)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; median of {options.repeats}")
    print(f"PSNR + SSIM, {options.batch} pairs of {options.size}x{options.size}; seconds a pair")

    def per_pair(work: Callable[[], object]) -> float:
        return seconds(work, options.repeats) / options.batch

    mine = per_pair(lambda: ours(pairs))
    print(f"  mildbench (full, mask, outside, ring, overlap)  {mine:.5f}")
    for name, work in (
        ("scikit-image (full)", lambda: scikit_image(outputs, truths)),
        ("torchmetrics (full)", lambda: torchmetrics(pairs)),
    ):
        theirs = per_pair(work)
        print(f"  {name:46}  {theirs:.5f}  {theirs / mine:.1f} times mildbench's")

    if options.device != "cpu":
        there = Pairs(
            pairs.outputs.to(options.device),
            pairs.truths.to(options.device),
            {name: region.to(options.device) for name, region in pairs.regions.items()},
        )
        fast = per_pair(lambda: ours(there))
        here, away = ours(pairs), ours(there)
        apart = max(np.nanmax(np.abs(here[name] - away[name])) for name in here)
        speed = f"{1 / fast:.0f} pairs/s, {mine / fast:.1f} times the CPU"
        print(f"  {options.device}: {speed}; scores within {apart:.1e}")


if __name__ == "__main__":
    main()
