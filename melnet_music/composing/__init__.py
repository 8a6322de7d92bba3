"""Composed works, performed and rendered: exact training data without recordings.

Imports ``sound``, ``notes`` and ``model``; never the instrument.
Workers are processes.
"""
