"""The real instrument on the stage: what a user tries first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import soundfile

from bridge.protocol.table import SECONDS
from melnet_music.model.preset import PHRASE_FILE, find_preset


def test_play_writes_phrase_and_continuation_where_there_is_no_sound(tmp_path: Path) -> None:
    arguments = ["play", "--no-audio", "--seconds", f"{SECONDS.low}", "--takes", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *arguments], capture_output=True, text=True, timeout=120.0, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    (take,) = tmp_path.glob("*.wav")
    assert f"wrote {take}" in result.stdout
    phrase, made = soundfile.info(find_preset("piano") / PHRASE_FILE), soundfile.info(take)
    assert made.samplerate == phrase.samplerate
    assert abs(made.frames - phrase.frames - SECONDS.low * made.samplerate) <= 2


def test_play_refuses_impossible_lengths(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "play", "--seconds", "nan"],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == "melnet-music play: --seconds must be 0.125 to 300 s, got nan\n"
