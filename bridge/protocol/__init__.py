"""The table of commands and properties, how messages are checked by it, and what values properties have.

Imports ``clock`` for the limits of tempo and meter; no sockets, no devices.
Pure, apart from `property_values`, which is shared with the OSCQuery thread under a lock.
"""
