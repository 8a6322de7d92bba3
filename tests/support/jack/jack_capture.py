"""Record a JACK client's output, in a process of its own: ``jack_capture.py SOURCE_REGEX OUT.npy SECONDS``.

Says "ready" once it is connected, answers every line with how many samples it has and the monotonic time at which JACK
asked for the first of them, records until its standard input ends, and writes float32[N] of port 1.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from jack_client import DEADLINE_SECONDS, open_client


def main() -> None:
    source_regex, path, most_seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    client = open_client("capture")
    port = client.inports.register("in")
    recorded = np.zeros(round(most_seconds * client.samplerate), np.float32)
    count, first_frame = 0, 0

    @client.set_process_callback
    def process(samples: int) -> None:
        nonlocal count, first_frame
        if not count:
            first_frame = client.last_frame_time
        taken = min(samples, len(recorded) - count)
        recorded[count : count + taken] = port.get_array()[:taken]
        count += taken

    with client:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (sources := client.get_ports(source_regex, is_audio=True, is_output=True)):
            if time.monotonic() > deadline:
                sys.exit(f"no JACK port matches {source_regex}: {client.get_ports()}")
            time.sleep(0.01)
        client.connect(sources[0], port)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            first_at = time.monotonic() - (client.frame_time - first_frame) / client.samplerate
            sys.stdout.write(f"{count} {first_at}\n")
            sys.stdout.flush()
    np.save(path, recorded[:count])


if __name__ == "__main__":
    main()
