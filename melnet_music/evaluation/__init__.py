"""Measures of a preset on held-out works: likelihood, continuations, joins, notes followed, long takes.

Imports everything below; only ``cli`` imports it.
Worker processes, one instrument each.
"""
