"""What a daemon on a network gets: wrong commands, wrong files, no OSC at all; and how it must answer."""

from __future__ import annotations

import math
import random
import struct
import time
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bridge.osc.datagrams import encode_message
from bridge.protocol.types import Value

RATE_HZ = 48000


def noise(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-0.5, 0.5, round(seconds * rate_hz)).astype(np.float32)


def make_prime_files(root: Path) -> Path:
    """Good and bad audio files; returns the folder that is to be allowed. ``root`` is outside of it."""
    allowed = root / "allowed"
    allowed.mkdir()
    soundfile.write(root / "secret.wav", noise(1.0), RATE_HZ)
    (allowed / "link.wav").symlink_to(root / "secret.wav")
    soundfile.write(allowed / "good.wav", noise(1.0), RATE_HZ)
    soundfile.write(allowed / "stereo.wav", np.stack([noise(1.0), noise(1.0)], axis=1), RATE_HZ)
    soundfile.write(allowed / "eight_bit.wav", noise(1.0), RATE_HZ, subtype="PCM_U8")
    soundfile.write(allowed / "fast.wav", noise(1.0, 96000), 96000)
    soundfile.write(allowed / "silent.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    (allowed / "empty.wav").write_bytes(b"")
    (allowed / "text.wav").write_text("this is no audio")
    return allowed


BAD_FILES = [
    ("missing.wav", "bad_file"),
    ("empty.wav", "bad_file"),
    ("text.wav", "bad_file"),
    ("silent.wav", "bad_file"),
    (".", "bad_file"),
    ("../secret.wav", "forbidden_path"),
    ("link.wav", "forbidden_path"),
    ("/etc/passwd", "forbidden_path"),
    ("../../../../../../../../etc/passwd", "forbidden_path"),
    ("x" * 900, "bad_file"),
    ("x" * 5000, "too_long"),
    ("a\x01b", "wrong_type"),
]


BAD_COMMANDS: list[tuple[str, list[Value], str]] = [
    ("continue", [], "missing_argument"),
    ("continue", [1], "refused"),  # nothing was heard
    ("generate", [1, "secnds", 2.0], "unknown_key"),
    ("generate", [1, "seconds"], "missing_argument"),
    ("generate", [1, "seconds", "long"], "wrong_type"),
    ("generate", [1, "seconds", math.nan], "out_of_range"),
    ("generate", [1, "seconds", math.inf], "out_of_range"),
    ("generate", [1, "seconds", 1e38], "out_of_range"),
    ("generate", [1, "seconds", -1.0], "out_of_range"),
    ("generate", [1, "seed", 2**62], "out_of_range"),
    ("generate", [1, "seconds", 1.0, "seconds", 1.0], "repeated_key"),
    ("generate", ["one"], "wrong_type"),
    ("generate", [2**62], "out_of_range"),
    ("generate", ["x" * 60_000], "wrong_type"),
    ("x" * 60_000, [], "unknown_command"),
    ("no/such/command", [1, 2, 3], "unknown_command"),
    ("load", ["x" * 60_000], "too_long"),
    ("load", ["no such preset"], "unknown_preset"),
    ("set", ["loudness", 1.0], "unknown_property"),
    ("set", ["level", 2.0], "out_of_range"),
    ("set", ["level", math.nan], "out_of_range"),
    ("set", ["level", "loud"], "wrong_type"),
    ("get", ["levle"], "unknown_property"),
    ("cancel", [99], "unknown_id"),
    *[("prime/file", [name], code) for name, code in BAD_FILES],
]


def bundle(unix_seconds: float, *messages: bytes) -> bytes:
    stamp = struct.pack(">Q", round((unix_seconds + 2_208_988_800) * 2**32))
    return b"#bundle\0" + stamp + b"".join(struct.pack(">i", len(each)) + each for each in messages)


PING = encode_message("/melnet/ping", [])


def nasty(generator: random.Random) -> bytes:
    good = bytearray(bundle(time.time(), encode_message("/melnet/get", ["level", 1, 2.0]), PING))
    match generator.randrange(3):
        case 0:
            return generator.randbytes(generator.randrange(200))
        case 1:
            for _ in range(generator.randrange(1, 4)):
                good[generator.randrange(len(good))] = generator.randrange(256)
            return bytes(good[: generator.randrange(len(good) + 1)])
        case _:
            tags = bytes(generator.choice(b"ifsbhdTFNI[]mrtcS") for _ in range(generator.randrange(1, 9)))
            return b"/melnet/get\0," + tags + generator.randbytes(generator.randrange(64))
