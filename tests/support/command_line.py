"""The command line, run in the test's own process."""

from __future__ import annotations

import sys

import pytest

from mildbench import cli


def invoke(*arguments: object) -> int:
    """Run `mildbench ARGUMENTS`; returns the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mildbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0)
