"""Training: one loop for every trainer, on scenes whose truth is exact.

    trainer.py     what a trainer implements
    scenes.py      where scenes come from, by position
    crops.py       a scene cropped, mirrored and scaled
    examples.py    from a scene to arrays; runs in the workers
    data.py        batches, in an order that no number of workers changes
    settings.py    what decides the result, and what only decides the speed
    loop.py        the loop
    ema.py, checkpoint.py, record.py, card.py, curves.py, panel.py    what it keeps and shows

Everything random depends on (seed, position) or (seed, step) alone, so a run that was stopped goes on to the same
weights.
"""
