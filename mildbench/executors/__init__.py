"""Run shards: thin, interchangeable engines behind one function, `Executor.run`, one module an engine."""

from mildbench.executors.base import EXECUTORS, Executor, Spec, Work, engine
from mildbench.executors.process import ProcessExecutor, SerialExecutor

HERE = SerialExecutor(1)
"""This process: what runs long work unless another engine is asked for."""

__all__ = ["EXECUTORS", "HERE", "Executor", "ProcessExecutor", "SerialExecutor", "Spec", "Work", "engine"]
