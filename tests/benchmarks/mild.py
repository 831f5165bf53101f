"""What MILD's pathways cost: one batch against separate calls, and against plain inpainting of as many pictures.

    python tests/benchmarks/mild.py [--backbone random:tiny] [--size 256] [--people 3] [--steps 10] [--repeats 5]
    python tests/benchmarks/mild.py --backbone random:sd-1.5 --steps 2 --repeats 0      time and memory of one call
    python tests/benchmarks/mild.py --backbone random:sd-1.5 --size 512 --device cuda

All weights are random. Times on a CPU are processor time of one thread, so that other work on the machine counts
for little. Ratios are medians over rounds, each of which times everything in turn.

On an H200 (torch 2.11.0+cu130, bfloat16; `random:tiny`, 256 px, three people, 2 steps, 2 rounds): a whole call of MILD
took 2.02 times SD inpainting of four pictures; four UNet calls with adapters switched 3.27 times the one batch; the
peak was 0.16 GiB on the GPU.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.sampler import denoise
from baselines.mild.method import Mild
from baselines.mild.modules import DOMAINS, Conditions
from baselines.mild.pathways import pathways
from baselines.sd_inpaint import SdInpaint
from mildbench.method import EraseBatch, collate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from groups import group


def seconds(work: Callable[[], object], device: str) -> float:
    """Processor time of one call; on a GPU the time until it has finished."""
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def loaded(method: DiffusionMethod, device: str) -> DiffusionMethod:
    """The method, ready."""
    method.device = device
    method.load()
    return method


def row_of(conditions: Conditions, row: int) -> Conditions:
    """One pathway of a batch."""
    one, of = slice(row, row + 1), conditions.pathways
    alone = replace(
        of,
        pictures=of.pictures[one],
        holes=of.holes[one],
        prompts=of.prompts.take([row]),
        seeds=[of.seeds[row]],
    )
    planes = {name: getattr(conditions, name)[one] for name in ("domains", "visible", "guidance", "regions")}
    return Conditions(alone, **planes)


def together(mild: Mild, conditions: Conditions) -> torch.Tensor:
    """All pathways in one batch, as MILD denoises them."""
    with torch.no_grad(), mild.modules.applied(conditions) as (residuals, modulated):
        return denoise(
            mild.backbone,
            replace(conditions.pathways, residuals=residuals),
            mild.settings,
            modulation=modulated,
        )


def switching(mild: Mild) -> Callable[[Conditions], torch.Tensor]:
    """The same pathways one by one, on a UNet whose adapter PEFT switches in between."""
    backbone = load_backbone(mild.backbone_name, mild.device, mild.backbone.dtype)
    with tempfile.TemporaryDirectory() as folder:
        mild.modules.lora.save(Path(folder))
        for name in DOMAINS:
            backbone.network.load_lora_adapter(
                Path(folder) / f"{name}.safetensors", prefix=backbone.part, adapter_name=name
            )
    guide, modulation = mild.modules.guidance, mild.modules.modulation
    assert guide is not None
    assert modulation is not None

    @torch.no_grad()
    def one(conditions: Conditions) -> torch.Tensor:
        backbone.network.set_adapter(DOMAINS[int(conditions.domains[0])])
        grid = backbone.grid(conditions.pathways.size)
        return denoise(
            backbone,
            replace(conditions.pathways, residuals=guide(conditions.guidance)),
            mild.settings,
            modulation=modulation.over(conditions.regions, grid, conditions.domains),
        )

    def all_of(conditions: Conditions) -> torch.Tensor:
        return torch.cat([one(row_of(conditions, row)) for row in range(len(conditions.domains))])

    return all_of


def print_memory(device: str) -> None:
    """The most that this process has held so far, the backbone and the interpreter included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    held = "" if device == "cpu" else f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB on the device"
    print(f"  peak memory so far: {peak:.2f} GiB resident{held}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="random:tiny")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--people", type=int, default=3, help="survivors to be completed")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="rounds of comparison; 0: one call of MILD")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device, count = options.device, options.people + 1
    common = {"backbone": options.backbone, "steps": options.steps, "resolution": options.size}

    crowd: EraseBatch = group(options.people, options.size)
    mild = loaded(Mild(**common), device)
    assert isinstance(mild, Mild)
    print(f"torch {torch.__version__}, {device}, {mild.dtype}")
    print(
        f"{options.backbone}, {options.size} px, {options.steps} steps, {options.people} people to complete"
    )
    print_memory(device)
    once = seconds(lambda: mild.erase_together(crowd), device)
    print(f"  MILD, first call: {once:.2f} s")
    print_memory(device)
    if not options.repeats:
        return

    conditions = mild.conditions(pathways(crowd), mild.canvas(crowd), crowd.seeds)
    assert len(conditions.domains) == count
    separate = switching(mild)
    apart = (together(mild, conditions) - separate(conditions)).abs().max()
    print(f"  one batch and separate calls agree within {float(apart):.1e}")
    inpaint = loaded(SdInpaint(**common), device)
    pictures = collate([crowd] * count)
    inpaint.erase_together(pictures)

    works: dict[str, Callable[[], object]] = {
        "MILD, whole call": lambda: mild.erase_together(crowd),
        f"SD inpainting, whole call, batch of {count}": lambda: inpaint.erase_together(pictures),
        "MILD, denoising in one batch": lambda: together(mild, conditions),
        f"MILD, denoising in {count} calls": lambda: separate(conditions),
    }
    rounds = [{name: seconds(work, device) for name, work in works.items()} for _ in range(options.repeats)]
    for name in works:
        print(f"  {name:44}  {statistics.median(each[name] for each in rounds):8.3f} s")
    whole, plain, batched, calls = works
    for what, upper, lower in (
        (f"MILD over SD inpainting with a batch of {count}", whole, plain),
        (f"{count} calls with adapter switching over one batch", calls, batched),
    ):
        ratios = sorted(each[upper] / each[lower] for each in rounds)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"  {what}: {statistics.median(ratios):.2f} times ({spread})")


if __name__ == "__main__":
    main()
