"""What tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTDATA = Path(__file__).resolve().parents[2] / "shared" / "testdata"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real photos that some machines have beside the repository."""
    if not TESTDATA.is_dir():
        pytest.skip("the real test photos (../shared/testdata) are not on this machine")
    return TESTDATA
