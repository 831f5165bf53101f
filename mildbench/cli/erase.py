"""`mildbench erase`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

    from mildbench.annotators.batches import Team
    from mildbench.photo import Person


def erase(
    photo: Annotated[list[Path], typer.Argument(help="Photos.", show_default=False)],
    method: Annotated[str, typer.Option(help="NAME or NAME:OPTION=VALUE,... (mildbench ls methods).")],
    people: Annotated[
        str,
        typer.Option(
            help="Who is there: auto (the annotator litert), an annotator (mildbench ls annotators), or a mask file: "
            "white on black, or a label map with one label for each person."
        ),
    ] = "auto",
    keep: Annotated[
        str | None, typer.Option(help="People to keep, by their numbers from the left: 2 or 1,3.")
    ] = None,
    pose: Annotated[
        str | None, typer.Option(help="Annotator of keypoints, for methods that are guided by them.")
    ] = None,
    parsing: Annotated[str | None, typer.Option(help="Annotator of parsing, for the same.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("erased"),
    size: Annotated[
        int,
        typer.Option(
            help="Pixels of the longer side that the method is shown; larger photos are cropped.", min=64
        ),
    ] = 512,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the method's generators.")] = 0,
) -> None:
    """Erase people from your own photos, at their own resolution; the result lies beside a panel that numbers them.

    Everybody goes, or all but --keep. Outside the masks the photo is unchanged.
    """
    from mildbench.annotators.base import AnnotatorSpec
    from mildbench.annotators.batches import Team
    from mildbench.errors import UserError
    from mildbench.evaluation.environment import resolve_device
    from mildbench.images import read_rgb, write_png
    from mildbench.method import MethodSpec
    from mildbench.photo import erase_people, panel

    kept = _numbers(keep)
    names = [path.stem for path in photo]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two photos are called {min(twice)!r} and would share one result: run them apart")
    where = resolve_device(device)
    eraser = MethodSpec.parse(method).create(where)
    if eraser.info.capabilities & {"truth", "names"}:
        raise UserError(
            f"method {eraser.info.name!r} needs a data set: a photo of yours has no truth; choose another"
        )
    mask_file = Path(people) if Path(people).is_file() else None
    finder = None if mask_file else AnnotatorSpec.parse("litert" if people == "auto" else people)
    team = Team.create(
        people=finder,
        pose=AnnotatorSpec.parse(pose) if pose else None,
        parsing=AnnotatorSpec.parse(parsing) if parsing else None,
        device=where,
    )
    eraser.load()
    for path in photo:
        image = read_rgb(path, "photo")
        found, labels = _who(path, image, mask_file, team)
        if unknown := kept - set(range(1, len(found) + 1)):
            raise UserError(
                f"--keep {min(unknown)}: {len(found)} people were found in {path}: "
                "look at the panel of a run without --keep"
            )
        targets = [k for k in range(len(found)) if k + 1 not in kept]
        result = erase_people(eraser, image, found, targets, labels, name=path.stem, size=size, seed=seed)
        write_png(out / f"{path.stem}.png", result)
        write_png(out / f"{path.stem}.panel.png", panel(image, found, targets, result))
        typer.echo(f"{out / path.stem}.png: {len(found)} people found, {len(targets)} erased")


def _numbers(text: str | None) -> set[int]:
    from mildbench.errors import UserError

    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise UserError(f"--keep {text!r}: give numbers from the panel, e.g. --keep 2 or --keep 1,3")
    return {int(part) for part in parts}


def _who(
    path: Path, image: np.ndarray, mask_file: Path | None, team: Team
) -> tuple[list[Person], np.ndarray | None]:
    """The people of a photo, from left to right, and its parsing."""
    import numpy as np

    from mildbench.annotators.base import Picture, boxes_of
    from mildbench.annotators.batches import Failure, annotate_batch
    from mildbench.annotators.overlay import seen
    from mildbench.errors import UserError
    from mildbench.masks import misfit, read_mask
    from mildbench.photo import Person, number_people

    picture = Picture(path.name, image)
    if mask_file is not None:
        mask = read_mask(mask_file)
        if reason := misfit(mask, f"mask {mask_file}", image.shape, f"photo {path}"):
            raise UserError(f"{reason}: resize it, or turn both alike")
        numbers = mask.numbers
        masks = np.array([numbers == value for value in np.unique(numbers[numbers > 0])], dtype=bool)
        masks = masks.reshape(-1, *numbers.shape)
        picture = Picture(path.name, image, boxes_of(masks), masks)
    (result,) = annotate_batch(team, [picture])
    if isinstance(result, Failure):
        raise UserError(f"no people could be looked for in {path}: {result.reason}")
    found = result.picture.masks
    assert found is not None
    people = []
    for k in number_people(found):
        keypoints = None if result.keypoints is None else seen(result.keypoints[k])
        people.append(Person(found[k], keypoints))
    return people, result.parsing
