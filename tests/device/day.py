"""A day on a GPU, in pieces: look at the machine, measure, train the shipped weights anew, compare them.

    make gpu-day                                                   everything, on mannequins
    python tests/device/day.py --people ccp:/data/ccp --backgrounds folder:/data/places
    python tests/device/day.py --list                              the pieces, and which of them are done
    python tests/device/day.py lama compare                        these alone
    python tests/device/day.py --rehearse --out rehearsal          on a CPU, a few steps each: does it all run?

A piece takes at most `--minutes`, a call `--total`. What is done is not done again; a training that ran out of its
minutes is saved and goes on with the next call, to the same weights. If a piece fails, those that do not need it go on.
`--out` holds `README.md` with what came of each piece, a log of each, and a folder of each training with its `weights`.

On a machine without a network, `make` cannot set up its environment. With what the machine has,
`pip install --no-deps --no-build-isolation -e .` says where the methods are, and this script runs by itself.

LaMa is trained with a perceptual loss where DeepLab is in the weights' folder: `mildbench weights fetch deeplab`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mildbench.training import record
from mildbench.weights import is_here

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
"""Seconds that a piece may go on after it should have ended: a trainer finishes its step, saves and exports."""
START = 45
"""Seconds that a training takes to begin and to export, which its own minutes do not count."""
LEAST = 60
"""Seconds below which no other piece is begun."""


@dataclass(frozen=True)
class Piece:
    """One command of the day."""

    name: str
    command: Sequence[str]
    """What follows `python`."""
    needs: tuple[str, ...] = ()
    """Pieces that must be done before."""
    trains: str = ""
    """Folder, in the day's, of a training: the piece is done when that is at its end."""


@dataclass(frozen=True)
class Day:
    """What is asked for."""

    out: Path
    people: Sequence[str] = ()
    backgrounds: Sequence[str] = ()
    minutes: float = 9.0
    """Most that a piece takes."""
    total: float = math.inf
    """Most minutes that a call takes."""
    rehearse: bool = False

    def pieces(self) -> Iterator[Piece]:
        """All of them, each after those that it needs."""
        device = "cpu" if self.rehearse else "cuda"
        yield Piece("machine", ["-m", "mildbench", "doctor"])
        how = ["--collect-only"] if self.rehearse else ["-n4"]
        yield Piece("check", ["-m", "pytest", "tests/device", *how])
        yield from self._measures(device)
        yield self._data()
        yield from self._trainings(device)
        yield from self._comparison(device)

    def _measures(self, device: str) -> Iterator[Piece]:
        small = self.rehearse
        for name, large, smallest in (
            ("attention", ["--tokens=16384", "--dtype=bfloat16"], ["--tokens=64"]),
            ("mild", ["--size=512"], ["--size=64", "--people=1", "--steps=1"]),
            ("scoring", [], ["--size=32", "--batch=2"]),
        ):
            options = [*smallest, "--repeats=1"] if small else large
            yield Piece(name + "-cost", [f"tests/benchmarks/{name}.py", f"--device={device}", *options])
        if not small:
            for backbone, size in (("random:sd-1.5", 512), ("random:sd-1.5", 1024)):
                options = [f"--backbone={backbone}", f"--size={size}", "--steps=4", "--repeats=0"]
                yield Piece(f"{size}-px-cost", ["tests/benchmarks/mild.py", f"--device={device}", *options])

    def _data(self) -> Piece:
        people, places = self.people, self.backgrounds
        if self.rehearse:  # the recipe's mannequins take minutes to draw
            people = people or ["mannequin:?count=48&seed=1&carrying=0.5"]
            places = places or ["mannequin:?count=24&seed=1"]
        sources = [f"--people={source}" for source in people]
        sources += [f"--backgrounds={source}" for source in places]
        size = (
            ["--count=24", "--size=64", "--workers=1"] if self.rehearse else ["--count=20000", "--size=256"]
        )
        options = ["--recipe=train", "--format=webdataset", "--train-jpeg=95", *sources, *size]
        return Piece("data", ["-m", "mildbench", "build-dataset", *options, f"--out={self.out / 'data'}"])

    def _trainings(self, device: str) -> Iterator[Piece]:
        backbone, mask = self.out / "backbone/weights", self.out / "deocclusion-mask/weights"
        resolution = 64 if self.rehearse else 256
        lama = "lama:perceptual=true" if is_here("deeplab") else "lama"
        for name, trainer, needs, options in (
            ("lama", lama, (), "--steps=60000 --batch-size=64 --lr=1e-3"),
            ("vae", "backbone-vae", (), "--steps=20000 --batch-size=32 --lr=6e-4 --ema=0.995"),
            ("deocclusion-mask", "deocclusion-mask", (), "--steps=6000 --batch-size=128 --lr=1e-3"),
            (
                "backbone",
                f"backbone:vae={self.out / 'vae/weights'},resolution={resolution}",
                ("vae",),
                "--steps=60000 --batch-size=64 --lr=5e-4",
            ),
            ("mild", f"mild:backbone={backbone}", ("backbone",), "--steps=6000 --lr=6e-4 --ema=0.99"),
            (
                "magiceraser",
                f"magiceraser:backbone={backbone}",
                ("backbone",),
                "--steps=4000 --lr=1e-3 --ema=0.99",
            ),
            (
                "deocclusion",
                f"deocclusion-decoder:backbone={backbone},mask={mask}",
                ("backbone", "deocclusion-mask"),
                "--steps=3000 --lr=1e-3 --ema=0.99",
            ),
        ):
            told = [*options.split(), "--save-every=2000"]
            if self.rehearse:
                told += ["--steps=2", "--save-every=2", "--batch-size=2", "--workers=0"]
            yield Piece(
                name,
                [
                    *(
                        "-m",
                        "mildbench",
                        "train",
                        trainer,
                        f"--dataset={self.out / 'data'}",
                        f"--device={device}",
                    ),
                    *(*told, f"--size={resolution}", f"--out={self.out / name}"),
                ],
                ("data", *needs),
                trains=name,
            )

    def _comparison(self, device: str) -> Iterator[Piece]:
        """New weights beside the shipped ones, on the test split: people and places that the new ones never saw."""
        at = {
            name: self.out / name / "weights"
            for name in ("backbone", "lama", "mild", "magiceraser", "deocclusion")
        }
        methods: list[tuple[str, str, tuple[str, ...]]] = [
            (method, method, ())
            for method in ("telea", "patchmatch", "sd-inpaint", "mild", "magiceraser", "deocclusion")
        ]
        methods += [
            ("lama", "lama:variant=tiny", ()),
            ("new-lama", f"lama:variant=tiny,weights={at['lama'] / 'model.safetensors'}", ("lama",)),
        ]
        # One step has the highest PSNR; eyes and networks see more in several. Colours as with the shipped ones.
        for steps in (1, 4):
            spec = f"sd-inpaint:backbone={at['backbone']},steps={steps},seamless=true"
            methods.append((f"new-sd-inpaint-{steps}", spec, ("backbone",)))
        # Guidance as on the shipped backbone: more is more than one so small bears.
        for name, options in (
            ("mild", ""),
            ("magiceraser", ",init=patchmatch,guidance=2"),
            ("deocclusion", ""),
        ):
            spec = f"{name}:backbone={at['backbone']},weights={at[name]},steps=4,seamless=true{options}"
            methods.append((f"new-{name}", spec, ("backbone", name)))
        runs = self.out / "runs"
        for name, spec, needs in methods:
            yield Piece(
                f"compare-{name}",
                [
                    *("-m", "mildbench", "evaluate", f"--dataset={self.out / 'data'}", f"--device={device}"),
                    *("--task=erase-one", "--task=erase-all", "--limit", "2" if self.rehearse else "96"),
                    *(f"--method={spec}", f"--out={runs}"),
                ],
                ("data", *needs),
            )
        report = f"--out={self.out / 'report.html'}"
        yield Piece("report", ["-m", "mildbench", "report", f"{runs}", report], ("compare-telea",))


def done(day: Day) -> dict[str, float]:
    """Piece -> seconds, of what earlier calls did."""
    path = day.out / "done.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def carry_out(day: Day, wanted: Sequence[str] = ()) -> bool:
    """Do all pieces, or those named, that are not done yet; whether all of them are now."""
    (day.out / "logs").mkdir(parents=True, exist_ok=True)
    ready, complete, start = done(day), True, time.monotonic()
    for piece in day.pieces():
        if piece.name in ready or (wanted and piece.name not in wanted):
            continue
        lacking = [name for name in piece.needs if name not in ready]
        left = 60 * day.total - (time.monotonic() - start) - PATIENCE
        if lacking:
            outcome = f"left out: {', '.join(lacking)} not done"
        elif left < LEAST:
            outcome = "left for the next call"
        else:
            status, seconds = _run(piece, day, min(60 * day.minutes, left))
            there = not piece.trains or _is_complete(day.out / piece.trains)
            outcome = (
                f"failed, exit status {status}"
                if status
                else "done"
                if there
                else "goes on with the next call"
            )
            outcome += f" ({seconds:.0f} s)"
            if not status and there:
                ready[piece.name] = round(seconds, 1)
                (day.out / "done.json").write_text(json.dumps(ready, indent=1))
            _write_summary(day, ready)
        complete &= piece.name in ready
        print(f"{piece.name:24} {outcome}", flush=True)
    return complete


def _is_complete(training: Path) -> bool:
    return (training / record.RECORD).is_file() and record.read(training).complete


def _run(piece: Piece, day: Day, most: float) -> tuple[int, float]:
    """Exit status and seconds. A piece that takes more than `most` seconds is asked to end, and then ended."""
    start = time.monotonic()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    timed = [f"--minutes={max(most - START, 1) / 60:.2f}"] if piece.trains else []
    with (day.out / "logs" / f"{piece.name}.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *piece.command, *timed],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)},
        )
        try:
            process.wait(most + PATIENCE / 2)
        except subprocess.TimeoutExpired:
            _end(process)
        except BaseException:  # the day itself is to end: what is trained is saved
            _end(process)
            raise
    return process.returncode, time.monotonic() - start


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE / 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write_summary(day: Day, ready: dict[str, float]) -> None:
    """README.md of the day: each piece with the end of its log."""
    lines = ["# A day on a GPU", ""]
    for piece in day.pieces():
        state = f"{ready[piece.name]} s" if piece.name in ready else "not done"
        log = day.out / "logs" / f"{piece.name}.txt"
        end = log.read_text(errors="replace").splitlines()[-40:] if log.is_file() else []
        lines += [f"## {piece.name}: {state}", "", "```", *end, "```", ""]
    (day.out / "README.md").write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help="these alone")
    parser.add_argument("--out", type=Path, default=Path("gpu-day"))
    parser.add_argument("--people", action="append", default=[], help="source to train on; repeatable")
    parser.add_argument("--backgrounds", action="append", default=[], help="source to train on; repeatable")
    parser.add_argument("--minutes", type=float, default=9.0, help="most that a piece takes")
    parser.add_argument("--total", type=float, default=math.inf, help="most minutes that this call takes")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, as little as can be")
    parser.add_argument("--list", action="store_true", help="print the pieces and end")
    options = parser.parse_args()
    day = Day(
        options.out.resolve(),
        options.people,
        options.backgrounds,
        options.minutes,
        options.total,
        options.rehearse,
    )
    names = [piece.name for piece in day.pieces()]
    if unknown := set(options.pieces) - set(names):
        parser.error(f"no piece {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.list:
        for name in names:
            print(f"{name:24} {'done' if name in done(day) else ''}")
        return
    if not day.rehearse:
        import torch

        if not torch.cuda.is_available():
            parser.error("no GPU that torch can use; --rehearse tries everything on the CPU")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(not carry_out(day, options.pieces))


if __name__ == "__main__":
    main()
