"""A data set on disk: scenes as layers, their truth in COCO's format, one row a sample."""

from mildbench.dataset.reader import Dataset

__all__ = ["Dataset"]
