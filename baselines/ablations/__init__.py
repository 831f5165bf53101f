"""The papers' ablations as studies for `mildbench ablate`: one YAML file each, see `mildbench.ablation.study`."""

from pathlib import Path

FOLDER = Path(__file__).parent
