"""Annotators: pose, parsing and people's masks for any picture, from the model stack that is at hand.

`base` is the interface, `mapping` the one place where foreign labels become ours, and each back end is a module
of its own that imports its libraries when it loads. `store` and `run` write annotations beside a data set,
`quality` measures them against the truth, `uses` holds what the rest of mildbench asks of an annotator.
"""

from mildbench.annotators.base import ANNOTATORS, Annotator, AnnotatorSpec, Found, Picture

__all__ = ["ANNOTATORS", "Annotator", "AnnotatorSpec", "Found", "Picture"]
