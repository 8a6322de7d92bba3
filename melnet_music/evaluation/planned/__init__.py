"""Planned takes as they sound, beside unplanned ones and real music: works, takes, measures, figures and pictures.

Imports all of ``evaluation`` that measures, and what it imports.
No threads of its own; works are measured by worker processes.
"""
