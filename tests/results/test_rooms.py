"""What runs left behind can be read where nothing could be run."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

from mildbench import results


def test_reading_results_imports_nothing_that_computes() -> None:
    names = [f"mildbench.results.{module.name}" for module in pkgutil.iter_modules(results.__path__)]
    assert len(names) > 5
    code = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('torch', 'torchvision')"
        " or name.startswith(('mildbench.evaluation', 'mildbench.report', 'mildbench.training'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
