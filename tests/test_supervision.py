"""What lives and does nothing, disks that are full, stops in the middle: real processes, signals and limits."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from live_daemon import client, live_daemon, process_id, wait_ready

@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's files, which only Linux can")
def test_a_full_disk_loses_neither_the_take_nor_its_sound(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        writer = process_id(daemon, "player")
        before = resource.prlimit(writer, resource.RLIMIT_FSIZE)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (50_000, before[1]))
        assert player.run_job("generate", 1, "seconds", 0.5)["file"] == ""
        (warning,) = [str(message.values[2]) for message in player.heard if message.address == "/melnet/warning"]
        (file,) = tmp_path.iterdir()  # of half a second, 96 kB
        assert file.suffix == ".json"
        assert f"melnet-music render {file.name} OUT.wav" in warning
        resource.prlimit(writer, resource.RLIMIT_FSIZE, before)
        assert Path(str(player.run_job("generate", 1, "seconds", 0.5)["file"])).exists()
