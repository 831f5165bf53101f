from __future__ import annotations

from evaluating import command, dataset, registered, run

__all__ = ["command", "dataset", "registered", "run"]
