"""Notes on paper: styles, harmony, melody, rhythm, accompaniment, ensembles, drums.

Imports nothing of ours but itself.
No threads.
"""
