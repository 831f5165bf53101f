from __future__ import annotations

from evaluating import dataset, registered, run

__all__ = ["dataset", "registered", "run"]
