"""Pages, pictures and curves of an evaluation.

Imports ``evaluation``.
No threads.
"""
