"""Files of a checkpoint from a repository on the Hugging Face hub, through `huggingface_hub`."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

from mildbench import extras
from mildbench.weights.checks import file_problem
from mildbench.weights.manifest import HubCheckpoint


class HubFailedError(Exception):
    """This repository did not give the right files; another may."""


def download(repository: str, checkpoint: HubCheckpoint, folder: Path) -> str:
    """Bring the files of `checkpoint` from one repository into `folder`, and check them.

    A file without a digest in the manifest must be what the hub says that it is: its size, and its sha256
    where the hub keeps it as a large file. What an earlier call left in `folder` is gone on with; a wrong file
    is removed.

    Args:
        repository: `owner/name` or `owner/name@commit`.
        checkpoint: what to bring.
        folder: made if need be.

    Returns:
        `owner/name@commit`, the commit that the files are of.

    Raises:
        HubFailedError: the repository is not there or not open, lacks a file, broke off, or gave a wrong one.
        UserError: `huggingface_hub` is not installed.
        OSError: a full disk.
    """
    hub = extras.require("huggingface_hub", "fetching a checkpoint")
    name, _, revision = repository.partition("@")
    try:
        info = hub.HfApi().model_info(name, revision=revision or None, files_metadata=True)
        offered = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        for file in checkpoint.files:
            if file.path not in offered:  # said before gigabytes of the others are here
                raise HubFailedError(f"it has no {file.path}")
        paths = [file.path for file in checkpoint.files]
        hub.snapshot_download(name, revision=info.sha, local_dir=folder, allow_patterns=paths)
    except HubFailedError:
        raise
    except Exception as error:  # its HTTP library, and with it the exceptions, changed between versions
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise HubFailedError(f"{type(error).__name__}: {reason}") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's own notes
    problems = []
    for file in checkpoint.files:
        said = offered[file.path]
        large = None if said.lfs is None else said.lfs.sha256
        expected = replace(file, size=file.size or said.size, sha256=file.sha256 or large)
        if wrong := file_problem(expected, folder):
            (folder / file.path).unlink(missing_ok=True)
            problems.append(wrong)
    if problems:
        raise HubFailedError(problems[0])
    return f"{name}@{info.sha}"
