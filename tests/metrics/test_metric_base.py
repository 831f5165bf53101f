"""What holds of the metrics' package as such."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mildbench.metrics.amodal import AmodalIou
from mildbench.metrics.attention import Cag, CagKappa, KeptKappa, KeptLogOdds, Leak
from mildbench.metrics.base import METRICS, REGIONS, Metric, SampleMetric
from mildbench.metrics.frechet import Fid
from mildbench.metrics.kernel import Kid
from mildbench.metrics.lpips import Lpips, LpipsVgg
from mildbench.metrics.pose import PoseOks
from mildbench.metrics.psnr import Psnr
from mildbench.metrics.residue import Residue
from mildbench.metrics.ssim import Ssim
from mildbench.regions import regions
from mildbench.weights import entries

OURS: list[type[Metric]] = [
    *(Psnr, Ssim, Lpips, LpipsVgg, Fid, Kid, Residue),
    *(AmodalIou, PoseOks, Cag, CagKappa, KeptKappa, KeptLogOdds, Leak),
]


def test_the_interface_imports_no_torch() -> None:
    code = "import sys, mildbench.metrics.base; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", OURS)
def test_a_metric_says_what_it_is(kind: type[Metric]) -> None:
    info = kind.info
    assert info.id.endswith("@1")
    assert len(info.definition) > 60
    of_pictures = not (issubclass(kind, SampleMetric) and kind.needs)
    assert set(info.regions) <= set(REGIONS) if of_pictures else set(info.regions).isdisjoint(REGIONS)
    assert METRICS.load(info.name) is kind
    assert set(info.weights) <= set(entries())


def test_ids_and_names_are_unique() -> None:
    assert len({kind.info.id for kind in OURS}) == len({kind.info.name for kind in OURS}) == len(OURS)


def test_set_metrics_share_one_network() -> None:
    assert Fid.extractor is Kid.extractor
    assert Fid.info.weights == Fid.extractor.weights


def test_the_regions_are_the_ones_that_are_made() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    assert tuple(regions(mask, mask)) == REGIONS
