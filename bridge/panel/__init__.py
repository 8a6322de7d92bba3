"""The panel: a web page that shows what is heard and made, and sends commands, served beside OSCQuery.

Imports ``osc`` and ``audio``; a panel is one more OSC client of the daemon, and can do nothing that others cannot.
All of it runs on the thread of OSCQuery; it reads shared memory, and never waits for the daemon.
"""
