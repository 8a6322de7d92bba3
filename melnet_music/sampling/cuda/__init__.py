"""The engine for CUDA cards: a Triton kernel that draws frames bin by bin, and torch for what is known before.

Imports ``model`` and `sampling.engine`.
No threads of its own; the card works beside the thread that calls, on a stream a tier.
"""
