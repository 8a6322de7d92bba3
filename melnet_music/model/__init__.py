"""MelNet: configuration, tiers, cells, stacks, mixture, the network in torch, presets and their weights.

Imports no other package of ours; everyone may import it.
No threads of its own.
"""
