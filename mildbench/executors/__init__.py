"""Run shards: thin, interchangeable engines behind one function, `Executor.run`, one module an engine."""

from mildbench.executors.base import EXECUTORS, Executor, Spec, Work
from mildbench.executors.process import ProcessExecutor, SerialExecutor

__all__ = ["EXECUTORS", "Executor", "ProcessExecutor", "SerialExecutor", "Spec", "Work"]
