"""`sbatch`, `srun`, `sacct` and `scancel` for tests: job arrays that run at once on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

SBATCH = """#!{python}
import os, pathlib, re, subprocess, sys
text = pathlib.Path(sys.argv[1]).read_text()
pathlib.Path("{log}").open("a").write(text)
job = str(os.getpid())
last = re.search(r"--array=0-([0-9]+)", text)
tasks = range(int(last.group(1)) + 1) if last else [None]
for task in tasks:
    env = dict(os.environ, SLURM_JOB_ID=job, SLURM_NTASKS="1", SLURM_PROCID="0")
    if task is not None:
        env |= dict(SLURM_ARRAY_JOB_ID=job, SLURM_ARRAY_TASK_ID=str(task))
    subprocess.Popen(["bash", sys.argv[1]], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("Submitted batch job", job)
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
  if [[ $1 == --unbuffered ]]; then shift; else shift 2; fi
done
exec "$@"
"""
SACCT = """#!/bin/bash
echo 'JobID|State|NodeList'
"""
SCANCEL = """#!/bin/bash
echo "scancel $1" >> {log}
"""


def install(folder: Path) -> Path:
    """Put the commands into `folder`; returns the file that collects what was asked of them."""
    folder.mkdir()
    log = folder / "log"
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT), ("scancel", SCANCEL)):
        path = folder / name
        path.write_text(text.replace("{python}", sys.executable).replace("{log}", str(log)))
        path.chmod(0o755)
    return log
