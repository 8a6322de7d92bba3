"""From sound to log-mel frames and back: mel filters, vocoders, audio files, resampling, crossfades, limiter.

Imports ``model`` for configuration and statistics.
No threads of its own.
"""
