"""What each command does: one module a family of commands, one handler a command.

Imports the state objects of ``stage`` and everything below; only ``stage`` itself imports it.
All handlers run on the daemon's main thread, and none waits.
"""
