"""Looking at a data set, or at what methods made of it, in the FiftyOne app.

Start reading at `mildbench.browse.gallery`, what there is to look at, then `mildbench.browse.export`, how it gets
into FiftyOne. Importing this package imports no fiftyone; functions take the module as their argument `fo`.
"""
