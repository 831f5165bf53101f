"""Public sets that `mildbench import NAME FOLDER` knows: how each lies on disk, and what to know of it.

`verified` says what the layout was held against. Nobody who wrote this had every set on disk: where it says that
the layout is from loaders or descriptions alone, an import that finds nothing may mean that the layout is another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mildbench.errors import UserError

if TYPE_CHECKING:
    from mildbench.dataset.pairs import About, FoundPairs

NOT_STATED = "not stated where it was looked for: ask its authors before publishing pictures"


@dataclass(frozen=True)
class Role:
    """Where the files of one role are: folder below the set's, and patterns as `pairfiles.Folder` has them."""

    folder: str
    patterns: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is known of a public set, whatever is in it."""

    name: str
    title: str
    summary: str
    """One sentence: what it is and how it was made."""
    licence: str
    citation: str
    verified: str
    """What the layout was held against."""
    layout: str
    """The layout in words, for listings."""
    notes: tuple[str, ...] = ()
    """Told at every import."""

    @property
    def about(self) -> About:
        """For the data set's description and card."""
        from mildbench.dataset.pairs import About

        return About(self.name, self.licence, self.summary, self.citation)


@dataclass(frozen=True, kw_only=True)
class PublicSet(Published):
    """One public set of pairs: inputs, masks and true answers."""

    find: Callable[[PublicSet, Path, Path | None], FoundPairs]
    """Its samples in a folder; the last argument is a folder of truths or masks that the user gives, or None."""
    images: Role = Role("")
    masks: Role = Role("")
    truth: Role = Role("")
    effects: Role | None = None
    deep: bool = False
    """Files lie in folders below these, too."""
    group: str | None = None
    """Pattern of the name whose `*` is the camera or place."""
    inverted: bool = False
    """Masks mark what stays."""
    takes: str | None = None
    """What the option of the set's own is: `truth` or `masks`."""


def _in_folders(known: PublicSet, root: Path, given: Path | None) -> FoundPairs:
    from mildbench.dataset.pairfiles import Folder, find_pairs

    def folder(what: str, role: Role) -> Folder:
        path = given if what == known.takes and given is not None else root / role.folder
        return Folder(what, path, role.patterns, known.deep)

    if not root.is_dir():
        raise UserError(f"folder not found: {root}")
    missing = [
        role.folder for role in (known.images, known.masks, known.truth) if not (root / role.folder).is_dir()
    ]
    if missing:
        raise UserError(f"{root} has no folder {missing[0]!r}: {known.name} lies as {known.layout}")
    if known.takes == "truth" and given is None:
        raise UserError(
            f"{known.name} comes without true answers, and every metric here but those that an annotator gives "
            "compares with them: give the folder of clean pictures with --truth DIR, or look at what a method makes of "
            "one picture: mildbench erase PHOTO --people MASK"
        )
    found = find_pairs(
        folder("input", known.images),
        folder("mask", known.masks),
        folder("truth", known.truth),
        folder("effect mask", known.effects) if known.effects else None,
        group=known.group,
        skip_incomplete=True,
    )
    return replace(found, notes=(*known.notes, *found.notes))


def _in_tables(known: PublicSet, root: Path, given: Path | None) -> FoundPairs:
    from mildbench.dataset.pairtables import find_pairs

    return find_pairs(root)


def _frames(known: PublicSet, root: Path, given: Path | None) -> FoundPairs:
    from mildbench.dataset.stationary import find_pairs

    return find_pairs(root, given)


_SETS = (
    PublicSet(
        name="rord",
        title="RORD: a Real-world Object Removal Dataset",
        summary="RORD: frames of fixed cameras with and without people and objects.",
        licence=NOT_STATED,
        citation="Sagong, Yeo, Jung, Ko: RORD: A Real-world Object Removal Dataset. BMVC 2022.",
        verified="public loaders' paths (clip folders, masks named _M); not the data",
        layout="img/, gt/ and mask/ of one split, flat or with a folder for each clip; masks black on white",
        find=_in_folders,
        images=Role("img"),
        masks=Role("mask", ("*_M", "*")),
        truth=Role("gt", ("*_GT", "*")),
        deep=True,
        group="*_F#",
        inverted=True,
        notes=("published at 960x540; masks are black where the object is",),
    ),
    PublicSet(
        name="rorem",
        title="RORem",
        summary="RORem: removals made by models and picked by people, with RORD and MULAN pairs among them.",
        licence="Apache-2.0 (the project); RORD's and MULAN's terms for theirs",
        citation="Li, Yang, Guo, Zhang: RORem: Training a Robust Object Remover with Human-in-the-Loop. CVPR 2025.",
        verified="descriptions alone; not the data",
        layout="source/, mask/ and GT/ with equal names, and meta.json",
        find=_in_folders,
        images=Role("source"),
        masks=Role("mask"),
        truth=Role("GT"),
        notes=("truths are pictures that a model made and people accepted",),
    ),
    PublicSet(
        name="syn4removal",
        title="Syn4Removal",
        summary="Syn4Removal: objects pasted onto photos, the photo as the answer (SmartEraser's training set).",
        licence="MIT (the project); photos under their own terms",
        citation="Jiang, Wang, Bao et al.: SmartEraser: Remove Anything from Images using Masked-Region Guidance. "
        "CVPR 2025.",
        verified="the project's published examples",
        layout="paste/, mask/ and gt/ with equal names",
        find=_in_folders,
        images=Role("paste"),
        masks=Role("mask"),
        truth=Role("gt"),
    ),
    PublicSet(
        name="smarteraser",
        title="SmartEraser examples",
        summary="SmartEraser's examples: pasted, masked and original photos.",
        licence="MIT (the project); photos under their own terms",
        citation="Jiang, Wang, Bao et al.: SmartEraser: Remove Anything from Images using Masked-Region Guidance. "
        "CVPR 2025.",
        verified="the published examples themselves, imported",
        layout="paste/, mask/ and gt/ with equal names",
        find=_in_folders,
        images=Role("paste"),
        masks=Role("mask"),
        truth=Role("gt"),
    ),
    PublicSet(
        name="ober",
        title="OBER",
        summary="OBER: objects removed with their shadows and reflections, captured and simulated.",
        licence="non-commercial research, on request (gated by its authors)",
        citation="Zhao, Zhou, Wang, Yang, Loy: ObjectClear: Precise Object and Effect Removal with Adaptive "
        "Target-Aware Attention. CVPR 2026.",
        verified="the columns of its public data-set card; not the data",
        layout="data/*.parquet with the columns input, gt, object_mask, object_effect_mask, subset",
        find=_in_tables,
    ),
    PublicSet(
        name="corne",
        title="CORNE",
        summary="CORNE: photos with and without an object, with masks of the object and of its effects.",
        licence=NOT_STATED,
        citation="not verified: cite the publication that the set came with",
        verified="descriptions alone; not the data",
        layout="shot/, bg/, mask_sam/ and mask_eff/ with equal names",
        find=_in_folders,
        images=Role("shot"),
        masks=Role("mask_sam"),
        truth=Role("bg"),
        effects=Role("mask_eff"),
    ),
    PublicSet(
        name="lama",
        title="LaMa's evaluation layout",
        summary="Pictures with masks in LaMa's layout, and clean pictures for them.",
        licence=NOT_STATED,
        citation="Suvorov et al.: Resolution-robust Large Mask Inpainting with Fourier Convolutions. WACV 2022.",
        verified="LaMa's documentation",
        layout="x.png with x_mask.png or x_mask000.png, x_mask001.png ... in one folder; truths by --truth",
        find=_in_folders,
        masks=Role("", ("*_mask#",)),
        takes="truth",
    ),
    PublicSet(
        name="realhm",
        title="RealHM",
        summary="RealHM: composites and their harmonised versions by artists.",
        licence="BSD (the project); photos under their own terms",
        citation="Jiang, Zhang et al.: SSH: A Self-Supervised Framework for Image Harmonization. ICCV 2021.",
        verified="descriptions alone; not the data",
        layout="vendor_testing_*/ with X_small.jpg, X_mask.jpg and X_gt.jpg",
        find=_in_folders,
        images=Role("", ("*_small",)),
        masks=Role("", ("*_mask",)),
        truth=Role("", ("*_gt",)),
        deep=True,
        notes=("a harmonisation set: its truth shows the masked object in other colours, not a clean plate",),
    ),
    PublicSet(
        name="static-camera",
        title="Frames of a fixed camera",
        summary="Frames of fixed cameras, with the median over time as the answer.",
        licence="as the owner of the frames states",
        citation="",
        verified="frames made for the tests",
        layout="a folder of frames from one camera, or one such folder for each; masks by difference or by --masks",
        find=_frames,
        takes="masks",
    ),
)
PUBLIC = {known.name: known for known in _SETS}
COCOA = Published(
    name="cocoa",
    title="COCO amodal (COCOA)",
    summary="COCOA: COCO photos in which annotators drew everything whole, also where it is hidden, in depth order.",
    licence=f"annotations: {NOT_STATED}; photos each under its own Flickr licence",
    citation="Zhu, Tian, Metaxas, Dollár: Semantic Amodal Segmentation. CVPR 2017.",
    verified="the authors' published API and public loaders of the annotation files; not the data",
    layout="COCO_amodal_SPLIT.json, itself or in annotations/, beside COCO's folder of that split, such as val2014/",
    notes=(
        "the colours of what is hidden are unknown: evaluate with --task deocclude, masks alone are scored",
    ),
)
"""Whole people instead of true pictures (`mildbench.dataset.amodal`)."""
