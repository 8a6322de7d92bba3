"""Recordings on disk as training examples: decoding, features and notes, cached.

Imports ``sound``, ``notes`` and ``model``; no torch, which worker processes would wait for.
Worker processes.
"""
