"""A training pass with fused recurrences: Triton kernels, and what stands in for them on a CPU.

Imports ``model`` only.
No threads of its own.
"""
