"""Ablations: variants of a method, trained alike and compared on the same samples."""
