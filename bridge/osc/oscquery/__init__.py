"""OSCQuery: the address space as JSON over HTTP, and property changes over a websocket.

Imports ``osc`` and ``protocol``.
One asyncio thread of its own; it reads property values through a lock and never waits for the daemon.
"""
