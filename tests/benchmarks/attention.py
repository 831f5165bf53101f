"""What recording attention and biasing it by region cost, beside plain and beside explicit attention.

python tests/benchmarks/attention.py [--tokens 4096] [--heads 8] [--width 40] [--regions 4] [--device cpu]
    [--dtype float32] [--repeats 15]

Aims, as ratios to plain attention in the same run: recording at most 1.15, a bias at most 1.15; explicit maps
several times slower, with memory that grows with the square of the tokens, where ours grows with the tokens.

On an H200 (torch 2.11.0+cu130; 16384 tokens, bfloat16; the machine's processors were busy too), times plain:
recording 1.02, a bias 1.04, both 1.04, explicit maps 10.3 as medians of 5; as the fastest of 5, which shows the GPU's
work alone, 1.39, 1.62, 1.57 and 11.9: the aims are missed there. Peak memory: 5 MiB plain, 24 MiB with either or both,
2.1 GiB explicit at 8192 tokens; twice that, and four times the explicit maps', at 16384.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from baselines.diffusion.attention import attend

Work = Callable[[], object]


def works(options: argparse.Namespace, tokens: int) -> dict[str, Work]:
    """Name -> one self-attention of a batch of one."""
    random = torch.Generator().manual_seed(0)
    shape = (3, 1, options.heads, tokens, options.width)
    to = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    query, key, value = torch.randn(shape, generator=random).to(**to)
    number = torch.randint(0, options.regions, (1, tokens), generator=random)
    labels = F.one_hot(number, options.regions).to(**to)
    weights = torch.randn(options.regions, options.regions, generator=random).to(options.device)

    def explicit() -> None:
        bias = labels @ weights.to(labels.dtype) @ labels.mT
        maps = (query @ key.mT * options.width**-0.5 + bias[:, None]).softmax(-1)
        _ = maps @ value, (maps @ labels[:, None]).mean(1)

    return {
        "plain": lambda: F.scaled_dot_product_attention(query, key, value),
        "masses": lambda: attend(query, key, value, labels=labels),
        "bias": lambda: attend(query, key, value, maps=labels, weights=weights),
        "masses and bias": lambda: attend(query, key, value, maps=labels, weights=weights, labels=labels),
        "explicit": explicit,
    }


def timed(named: dict[str, Work], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each repeat. They take turns, so that whatever else the machine does slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(repeats + 1):
        for name, work in named.items():
            _synchronize(device)
            start = time.perf_counter()
            work()
            _synchronize(device)
            times[name].append(time.perf_counter() - start)
    return {name: found[1:] for name, found in times.items()}  # the first one warms up


def peak_memory(work: Work, device: str) -> int:
    """Bytes that torch holds at most while it does `work`, beyond what was there before."""
    work()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    # The profiler sees each block that torch's allocator gives or takes back, inside kernels too.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    blocks = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    held = peak = 0
    for _, size in blocks:
        held += size
        peak = max(peak, held)
    return peak


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--width", type=int, default=40, help="of a head")
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()

    sizes = f"{options.heads} heads of {options.width}, {options.regions} regions, {options.dtype}"
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads; {sizes}")
    named = works(options, options.tokens)
    seconds = timed(named, options.repeats, options.device)
    # On a machine that does other things too, the fastest repeat is the one least disturbed.
    for what, of in (("median", statistics.median), ("fastest", min)):
        print(f"{options.tokens} tokens; {what} of {options.repeats}, taking turns")
        found = {name: of(times) for name, times in seconds.items()}
        for name, each in found.items():
            print(f"  {name:16} {each * 1e3:9.2f} ms  {each / found['plain']:6.2f} times plain")
        ratio = found["explicit"] / found["masses and bias"]
        print(f"  explicit maps take {ratio:.1f} times as long as ours, which give the same")

    tokens = [options.tokens // 4, options.tokens // 2, options.tokens]
    print("peak memory in MiB, tokens " + ", ".join(f"{count:9}" for count in tokens))
    for name in named:
        peaks = [peak_memory(works(options, count)[name], options.device) / 2**20 for count in tokens]
        print(f"  {name:24} " + ", ".join(f"{peak:9.1f}" for peak in peaks))


if __name__ == "__main__":
    main()
