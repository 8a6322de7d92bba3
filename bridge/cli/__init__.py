"""The ``melnet-music`` command: a module for each group of subcommands.

Imports everything; nothing imports it.
Runs on the main thread of the command.
"""
