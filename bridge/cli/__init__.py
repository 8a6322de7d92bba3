"""The ``melnet-music`` command: one module a group of subcommands.

Imports everything; nothing imports it.
Runs on the main thread of the command.
"""
