"""Evaluation: predict -> score -> aggregate, three resumable stages with files between them.

Start reading at `mildbench.evaluation.runner`; `mildbench.results.folder` says what lies where on disk.
"""
