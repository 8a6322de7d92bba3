"""The daemon process: owns time, receives commands, sends requests to the player and answers who asked.

Imports everything below it; only ``cli`` imports it.
One loop on the main thread that never waits for a model or a device.
"""
