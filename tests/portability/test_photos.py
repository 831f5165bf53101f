"""Features of this CPU switched off change no pixel and no plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("photos.py")


@pytest.mark.slow
def test_switching_features_off_changes_nothing() -> None:
    command = [sys.executable, str(SCRIPT), "--scenes", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("results, the same") == 9
