"""A run that is being made: its method, its identity, and the folder of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mildbench
from mildbench.dataset.source import TripletSource
from mildbench.device import describe
from mildbench.errors import UserError
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.identity import identity_of
from mildbench.longwork import other_here
from mildbench.marking import FOOTPRINT
from mildbench.method import EraseMethod, MethodSpec
from mildbench.results.folder import RunFolder
from mildbench.results.record import Config, DatasetRecord, MethodRecord, RunRecord, titles

PREDICT_REVISION = 1
"""Goes up whenever mildbench itself changes what a method is shown (seeds, padding, ...): old predictions
stay, in folders of their own."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run and where its files are. Pickled, it is its spec: whoever unpickles it has a method of their own."""

    folder: RunFolder
    label: str
    """What tables call it: `titles`."""
    method: EraseMethod
    spec: MethodSpec
    config: Config

    @classmethod
    def of(
        cls,
        out: Path,
        dataset: TripletSource,
        task: str,
        split: str,
        spec: MethodSpec,
        *,
        seed: int,
        device: str,
        corruption: Corruption,
        mask: str = FOOTPRINT,
        samples: int = 0,
    ) -> Run:
        """The run of `spec`, on a task of so many samples; creates the method but loads nothing and writes nothing.

        Raises `UserError` for an unknown method, option or weights name, and for pictures made elsewhere, whose
        inputs cannot be corrupted any more.
        """
        method = spec.create(device)
        config = Config(
            revision=PREDICT_REVISION,
            dataset=dataset.fingerprint,
            task=task,
            split=split,
            seed=seed,
            corruption=corruption.texts,
            mask=mask,
            **identity_of(spec, method)._asdict(),
        )
        copies = "names" in method.info.capabilities
        if corruption.texts and copies:
            raise UserError(
                f"method {spec.name!r} looks up pictures that were made elsewhere, so --corrupt cannot change what "
                "they were made from: leave one of the two out"
            )
        looked_up_in = config.options["directory"] if copies and "directory" in spec.options else None
        label, name = titles(spec, config, looked_up_in)
        folder = RunFolder.of(out, dataset.fingerprint, task, name, samples)
        return cls(folder, label, method, spec, config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.folder, self.label, self.spec, self.config, self.method.device)

    @property
    def copies_files(self) -> bool:
        """True for a method that only looks images up, in a folder that may have changed since last time."""
        return "names" in self.method.info.capabilities

    def new_record(
        self,
        dataset: TripletSource,
        *,
        limit: int | None,
        samples: int,
        metrics: dict[str, str],
        dilation: int,
    ) -> RunRecord:
        """The record of this invocation, without sessions."""
        root: Any = getattr(dataset, "root", None)  # data that was never a folder has none
        return RunRecord(
            mildbench=mildbench.__version__,
            label=self.label,
            dataset=DatasetRecord(
                name=dataset.name,
                fingerprint=dataset.fingerprint,
                path=None if root is None else str(root.resolve()),
                annotations=getattr(dataset, "annotations", None),
                replace_truth=getattr(dataset, "replaces_truth", False),
            ),
            task=self.config.task,
            split=self.config.split,
            limit=limit,
            samples=samples,
            method=MethodRecord.of(self.spec, self.method.info),
            config=self.config,
            config_hash=self.config.hash,
            device=self.method.device,
            environment=describe(self.method.device),
            metrics=metrics,
            paste_dilation=dilation,
            sessions=[],
        )


def _again(folder: RunFolder, label: str, spec: MethodSpec, config: Config, device: str) -> Run:
    """The run in a worker; raises `UserError` where its method would make other predictions."""
    method = spec.create(device)
    here = config.model_copy(update=identity_of(spec, method)._asdict())
    if here != config:
        names = (name for name in type(config).model_fields if getattr(here, name) != getattr(config, name))
        raise other_here(f"{', '.join(names)} of method {spec.name!r}")
    return Run(folder, label, method, spec, config)
