"""What an image costs: seconds and memory of every method on the same scene, and of MILD against as many pictures.

    python tests/benchmarks/costs.py [--backbone random:tiny] [--size 512] [--people 3] [--steps 2] [--device cpu]
    python tests/benchmarks/costs.py --backbone random:sd-1.5 --device cuda --only mild --only sd-inpaint

All weights are random but LaMa's small ones. Each method has a process of its own, so that its peak is its own: the
interpreter, the libraries and the weights included. Times on a CPU are processor time of one thread, so that other work
on the machine counts for little; the first call is not counted on a GPU. A step is one call of the network for each
half of classifier-free guidance; methods that leave steps out, or make masks before, have their own number.

On one core of a server's CPU (torch 2.15.0, `random:tiny`, 512 px, three people, 2 steps), seconds an image and GiB
resident: telea 0.07 and 0.55, patchmatch 11.3 and 0.59, lama (tiny) 1.1 and 0.64, sd-inpaint 11.8 and 1.14,
attentive-eraser 14.5 and 1.24, powerpaint 15.1 and 1.19, smarteraser 14.8 and 1.10, magiceraser 18.4 and 1.14,
deocclusion 58.3 and 1.46, mild 51.6 and 1.96. MILD with its four pathways took 1.10 times SD inpainting of a batch of
four pictures (46.9 s, timed in a run of its own, beside the others).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mildbench.method import EraseBatch, MethodSpec, collate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from groups import group

PLAIN = ("telea", "patchmatch", "lama:variant=tiny")
DIFFUSION = (
    "sd-inpaint",
    "attentive-eraser",
    "powerpaint",
    "smarteraser",
    "magiceraser",
    "deocclusion",
    "mild",
    "mild:dual=true",
    "mild:single_path=true",
)


@dataclass(frozen=True)
class Cost:
    """Of one call of a method."""

    name: str
    seconds: float
    resident: float
    """Peak of the process in GiB."""
    held: float
    """Peak on the GPU in GiB; 0 on a CPU."""


def measure(name: str, method: str, pictures: EraseBatch, device: str) -> Cost:
    """One call, in this process."""
    torch.set_num_threads(1)
    made = MethodSpec.parse(method).create(device)
    made.load()
    if device == "cpu":
        start = time.process_time()
        outcomes = made.run(pictures)
        spent = time.process_time() - start
    else:
        made.run(pictures)
        torch.cuda.synchronize()
        start = time.perf_counter()
        outcomes = made.run(pictures)
        torch.cuda.synchronize()
        spent = time.perf_counter() - start
    if errors := [outcome.error for outcome in outcomes if outcome.error]:
        raise RuntimeError(f"{method}: {errors[0]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    held = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else 0.0
    return Cost(name, spent, peak, held)


def apart(arguments: Sequence[str]) -> Cost:
    """The same in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="random:tiny")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--people", type=int, default=3, help="survivors to be completed")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", action="append", help="a row, by its name; repeatable")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "METHOD", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, method, pictures = options.one
        crowd = group(options.people, options.size)
        print(json.dumps(asdict(measure(name, method, collate([crowd] * int(pictures)), options.device))))
        return

    count = options.people + 1
    common = f"backbone={options.backbone},steps={options.steps},resolution={options.size}"
    rows = {name: (name, 1) for name in PLAIN}
    for name in DIFFUSION:
        rows[name] = (f"{name}{',' if ':' in name else ':'}{common}", 1)
    many = f"sd-inpaint, batch of {count}"
    rows[many] = (f"sd-inpaint:{common}", count)
    if unknown := set(options.only or ()) - set(rows):
        parser.error(f"no row {min(unknown)!r}: {', '.join(rows)}")
    print(f"torch {torch.__version__}, {options.device}, {options.backbone}, {options.size} px")
    print(f"{options.steps} steps, {options.people} people to complete")
    print("| method | seconds an image | GiB resident | GiB on the device |\n| --- | --- | --- | --- |")
    found: dict[str, Cost] = {}
    shared = ["--size", str(options.size), "--people", str(options.people), "--device", options.device]
    for name, (method, pictures) in rows.items():
        if options.only and name not in options.only:
            continue
        cost = found[name] = apart([*shared, "--one", name, method, str(pictures)])
        print(
            f"| {name} | {cost.seconds / pictures:.2f} | {cost.resident:.2f} | {cost.held:.2f} |", flush=True
        )
    if {"mild", many} <= found.keys():
        ratio = found["mild"].seconds / found[many].seconds
        print(f"MILD over SD inpainting with a batch of {count}: {ratio:.2f} times")


if __name__ == "__main__":
    main()
