"""The compiled CPU engine: packed weights, matrix kernels, tiers, and the crew of threads that runs them.

Imports ``model`` and `sampling.engine`.
Worker threads without Python's lock; they meet at `barrier` and take work from `crew`.
"""
