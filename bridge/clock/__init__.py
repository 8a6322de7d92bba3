"""Where the music is: tempo, meter and bars as pure arithmetic, and the clocks followed or sent.

Imports no other package of ours; everyone may import it.
Pure values, but for two threads: the one that sends MIDI when it is due, and the one that Ableton Link brings.
"""
