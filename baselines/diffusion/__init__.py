"""What the diffusion methods share: backbones, one sampler, region attention, LoRA routed by batch element.

A difference between two methods on one backbone is then a difference of idea, not of code.
"""
