"""Play counted samples into a JACK client's inputs, from a process of its own: ``jack_generator.py TARGET_REGEX``.

With a sound file of the server's rate as second argument, that one over and over. Says "ready" once it is connected,
and plays until its standard input ends.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import soundfile
from jack_client import DEADLINE_SECONDS, open_client
from scripted_instrument import counted

SECONDS = 40


def main() -> None:
    client = open_client("generator")
    port = client.outports.register("out")
    sounds = sys.argv[2:]
    samples = soundfile.read(sounds[0], dtype="float32")[0] if sounds else counted(0, SECONDS * client.samplerate)
    position = 0
    playing = False

    @client.set_process_callback
    def process(count: int) -> None:
        nonlocal position
        block = port.get_array()
        places = np.arange(position, position + count)
        block[:] = samples.take(places, mode="wrap") if playing else np.float32(0.0)
        position += count if playing else 0

    with client:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (targets := client.get_ports(sys.argv[1], is_audio=True, is_input=True)):
            if time.monotonic() > deadline:
                sys.exit(f"no JACK port matches {sys.argv[1]}: {client.get_ports()}")
            time.sleep(0.01)
        for target in targets:
            client.connect(port, target)
        playing = True
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
