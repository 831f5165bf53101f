"""`mildbench erase`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

    from mildbench.masks import Mask


def erase(
    photo: Annotated[list[Path], typer.Argument(help="Photos.", show_default=False)],
    method: Annotated[
        str,
        typer.Option(
            help="NAME or NAME:OPTION=VALUE,... (mildbench ls methods). auto: patchmatch where it is installed (pip "
            'install "mildbench[classic]"), else navier-stokes.'
        ),
    ] = "auto",
    people: Annotated[
        str,
        typer.Option(
            help="Who is there: auto (the first of the annotators torchvision and litert whose weights are here), "
            "an annotator (mildbench ls annotators), or a mask file: white on black, or a label map with one label "
            "for each person."
        ),
    ] = "auto",
    keep: Annotated[
        str | None, typer.Option(help="People to keep, by their numbers from the left: 2 or 1,3.")
    ] = None,
    with_belongings: Annotated[
        bool,
        typer.Option(
            "--with-belongings",
            help="What they wear, hold or ride goes too: of COCO's kinds with --people torchvision; with litert "
            "bicycles, motorcycles, horses and bottles.",
        ),
    ] = False,
    with_shadow: Annotated[
        bool, typer.Option("--with-shadow", help="So does their shadow on the ground: a plain estimate.")
    ] = False,
    pose: Annotated[
        str | None, typer.Option(help="Annotator of keypoints, for methods that are guided by them.")
    ] = None,
    parsing: Annotated[str | None, typer.Option(help="Annotator of parsing, for the same.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("erased"),
    format: Annotated[
        str,
        typer.Option(
            help="png: lossless. same: a JPEG photo gives a JPEG, compressed as the photo was; others give PNG."
        ),
    ] = "png",
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

    Everybody goes, or all but --keep. Outside the masks, grown by some pixels, the photo is unchanged. Colour profile
    and the camera's EXIF are kept; thumbnails, previews and maker's notes, which may show who was there, are not. No
    file is overwritten that an earlier run did not make. A photo that cannot be erased is told and left out.

    \b
    mildbench erase me.jpg --people me-mask.png --method lama:variant=tiny
    mildbench erase photos/*.jpg --people litert --keep 2
    """
    from mildbench.annotators import ANNOTATORS
    from mildbench.annotators.census import Census
    from mildbench.device import resolve_device
    from mildbench.erasing import Eraser, photo_method
    from mildbench.errors import UserError
    from mildbench.listing import PICTURES
    from mildbench.masks import read_mask
    from mildbench.photofile import PhotoFile, check_outputs, kind_of, write_panel
    from mildbench.progress import tracking

    kept = _numbers(keep)
    kind = kind_of(format)
    # A file that is not there is named as such, not as an annotator that nobody knows.
    named = people.partition(":")[0] in ("auto", *ANNOTATORS.names())  # whatever else is called so
    is_mask = not named and (Path(people).is_file() or Path(people).suffix.lower() in PICTURES)
    mask_file = Path(people) if is_mask else None
    if Path(people).is_dir() and not (named or is_mask):
        raise UserError(f"--people {people} is a folder: give one mask file, and its photo, at a time")
    panels = [out / f"{path.stem}.panel.png" for path in photo]
    results = [out / f"{path.stem}{PhotoFile.suffix(path, kind)}" for path in photo]
    given = [*photo, *([mask_file] if mask_file else [])]
    if missing := [path for path in given if not path.exists()]:  # told before anything is loaded
        raise UserError(f"{'photo' if missing[0] in photo else 'mask'} not found: {missing[0]}")
    check_outputs([*results, *panels], given)
    mask = None if mask_file is None else read_mask(mask_file)
    chosen = photo_method(method)  # a slip in its name is told before anything slow
    where = resolve_device(device)
    census = Census.create(
        None if mask_file else people,
        pose,
        parsing,
        where,
        belongings=with_belongings,
        shadows=with_shadow,
    )
    eraser = Eraser.create(chosen, where, census, size=size, seed=seed)
    failed = 0
    with tracking("photos", len(photo), show=len(photo) > 1) as advance:
        for path, result, beside in zip(photo, results, panels, strict=True):
            try:
                file = PhotoFile.read(path)
                known = (
                    None if mask is None else _masks_of(mask, f"mask {mask_file}", path, file.pixels.shape)
                )
                erased = eraser.erase(path.stem, file.pixels, known, kept)
            except UserError as error:
                if len(photo) == 1:
                    raise
                failed += 1
                typer.echo(f"mildbench: {error}", err=True)
                continue
            finally:
                advance(1)
            file.write(result, erased.pixels)
            write_panel(beside, erased.panel)
            count = f"{len(erased.people)} people found, {len(erased.targets)} erased"
            typer.echo(f"{result}: {count} by {eraser.method.info.name}")
            if file.lost:
                typer.echo(f"mildbench: {path}: lost are {', and '.join(file.lost)}", err=True)
            if mask is not None and not erased.people:
                typer.echo(f"mildbench: {path}: nobody is marked: the result is the photo", err=True)
            if erased.doubtful:
                typer.echo(
                    f"mildbench: {path}: {erased.doubtful} more found were too small and unsure to be people, and "
                    "nobody surer is there: if they are, say so with --people MASK",
                    err=True,
                )
    if failed:
        rest = "; the others are done" if failed < len(photo) else ""
        raise UserError(f"{failed} of {len(photo)} photos could not be erased: why is said above{rest}")


def _numbers(text: str | None) -> set[int]:
    from mildbench.errors import UserError

    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise UserError(f"--keep {text!r}: give numbers from the panel, e.g. --keep 2 or --keep 1,3")
    return {int(part) for part in parts}


def _masks_of(mask: Mask, name: str, photo: Path, shape: tuple[int, ...]) -> np.ndarray:
    """bool[K, H, W]: the people that a mask tells apart, for a photo of this shape."""
    from mildbench.errors import UserError
    from mildbench.masks import misfit, oddity, separate

    if reason := misfit(mask, name, shape, f"photo {photo}"):
        raise UserError(f"{reason}: resize it, or turn both alike")
    if mask.marked.any() and (remark := oddity(mask.marked)):
        typer.echo(
            f"mildbench: the people of {name} {remark}: is it the right mask, white where they are?", err=True
        )
    return separate(mask.numbers)
