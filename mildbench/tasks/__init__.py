"""Tasks: what can be asked of a scene, one class in one file each, and the registry that finds them."""

from mildbench.tasks.base import TASKS, PersonTask, Row, Task, keeps, task_of

__all__ = ["TASKS", "PersonTask", "Row", "Task", "keeps", "task_of"]
