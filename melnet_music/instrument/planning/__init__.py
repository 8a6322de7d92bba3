"""Plans of a take's notes, by what an instrument has heard: what the daemon and the commands on files share.

Imports what the package ``instrument`` imports.
Belongs to one thread, the one that calls it.
"""
