"""Metrics: how far an erased picture is from the exact answer. `base` is what a plug-in implements."""
