"""Evaluation: predict -> score -> aggregate, three resumable stages with files between them.

Start reading at `mildbench.evaluation.runner`; `mildbench.evaluation.run` says what lies where on disk.
"""
