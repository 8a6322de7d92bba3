"""From a pad to the first sample: how long after MIDI brought the stroke the sound of its take begins.

    python -m tests.figures.midi_pads [--triggers 100] [--quantise none]

The piano is primed with its phrase; every stroke has it go on for a short while, at once. A JACK server without
hardware carries pad and sound. Three times are told for each stroke, from when the pad's program hands it to JACK: until
the callback stamps it (JACK hands MIDI on at its next periods), until the player reports ``started``, which is when the
first sample is on its way to the device, and between these two. No latency of a device is in them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jack_rig import PERIOD_SAMPLES, RATE_HZ, jack_server
from live_daemon import client, live_daemon, wait_ready
from midi_rig import controller
from tests.figures.program import run

from bridge.midi import MidiSettings
from bridge.player import INSTRUMENT_FACTORY
from melnet_music.preset import PHRASE_FILE, find_preset
