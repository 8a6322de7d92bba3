"""Training: runs, tiers, optimisers, checkpoints, and held-out likelihood.

Imports everything below; ``evaluation`` and ``cli`` import it.
One process a device under torchrun; features are computed by worker processes.
"""
