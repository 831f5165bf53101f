"""mildbench: build, run and score benchmarks for erasing people from photos, with exact truth.

Importing the package is cheap: it loads no torch, no fiftyone, no diffusers.
The ground floor is :mod:`mildbench.scene`; methods subclass :class:`mildbench.method.EraseMethod`.
"""

__version__ = "0.1.0"
