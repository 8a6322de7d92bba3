"""Imports run one way, and what is fragile is imported in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "bridge").rglob("*.py"), *(ROOT / "melnet_music").rglob("*.py")])

ONLY_IMPORTER = {
    "sounddevice": {"bridge/audio.py"},
    "pythonosc": {"bridge/osc.py"},
    "aalink": {"bridge/link.py"},
    "websockets": {"bridge/oscquery_server.py"},
    "rtmidi": {"bridge/midi.py"},
    "mido": {"melnet_music/composing/make_data.py", "melnet_music/midi_file.py"},
    "multiprocessing.shared_memory": {
        "bridge/shared_samples.py",
        "bridge/playout.py",
        "bridge/input_ring.py",
        "bridge/tape_memory.py",
        "bridge/loop_lane.py",
    },
}


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def test_sources_are_found() -> None:
    assert ROOT / "bridge" / "daemon.py" in SOURCES
    assert ROOT / "melnet_music" / "config.py" in SOURCES


@pytest.mark.parametrize("path", [path for path in SOURCES if "melnet_music" in path.parts], ids=lambda path: path.name)
def test_the_instrument_knows_no_stage(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported_modules(path)}
    assert not tops & {"bridge", "socket", "sounddevice", "pythonosc"}


@pytest.mark.parametrize("module", ONLY_IMPORTER)
def test_imported_in_one_place_only(module: str) -> None:
    importers = {
        str(path.relative_to(ROOT).as_posix())
        for path in SOURCES
        if any(name == module or name.startswith(f"{module}.") for name in imported_modules(path))
    }
    assert importers <= ONLY_IMPORTER[module]


@pytest.mark.parametrize(
    "name",
    [
        "commands.py",
        "due_queue.py",
        "pacing.py",
        "orders.py",
        "schedule.py",
        "transport.py",
        "device_clock.py",
        "steady_count.py",
        "clock_follower.py",
        "clock_source.py",
        "clock_plan.py",
        "midi_clock.py",
        "oscquery_tree.py",
        "property_board.py",
        "curves.py",
        "pickup.py",
        "held_notes.py",
        "midi.py",
        "midi_gestures.py",
        "midi_learning.py",
        "midi_map.py",
        "midi_map_file.py",
        "midi_desk.py",
    ],
)
def test_pure_parts_import_only_the_standard_library_and_each_other(name: str) -> None:
    tops = {module.split(".")[0] for module in imported_modules(ROOT / "bridge" / name)}
    assert tops - {"rtmidi"} <= {*sys.stdlib_module_names, "bridge"}


def test_the_daemon_process_does_not_start_portaudio_or_torch() -> None:
    """Their import costs seconds, and ties the daemon's life to a sound server's."""
    for path in (ROOT / "bridge").rglob("*.py"):
        top_level = ast.Module(
            [
                node
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ],
            [],
        )
        names = {
            name.split(".")[0]
            for node in top_level.body
            for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        assert not names & {"sounddevice", "torch"}, path


def test_only_its_own_thread_imports_the_websocket_server() -> None:
    """Else the first answer of the daemon would wait for that import."""
    loading = 'import sys, bridge.daemon; print(*sorted({"websockets"} & set(sys.modules)))'
    result = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == ""


LAYERS = [
    {"config", "arrays", "seam"},
    {"tiers", "tier_state", "mel_scale"},
    {"conditioning", "scan_cuda", "mel", "notes"},
    {"parameters", "scan", "mixture", "keyboard"},
    {"cells", "midi_file"},
    {"stacks"},
    {"model"},
    {"preset", "vocoders", "tape", "resample"},
    {"sampling", "audio_file", "headroom"},
    {"level_hold", "edges"},
    {"instrument"},
    {"voicing"},
    {"offline", "bench", "composing"},
    {"training"},
    {"evaluation"},
]
"""Modules and packages of `melnet_music`; each imports from the layers before its own and from its own package."""


def layer_of(module: str) -> int:
    name = module.split(".")[1]
    return next(number for number, names in enumerate(LAYERS) if name in names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "melnet_music" in path.parts and path.name != "__init__.py"], ids=module_name
)
def test_imports_run_one_way(path: Path) -> None:
    own = module_name(path)
    for imported in imported_modules(path):
        if imported.startswith("melnet_music.") and imported.split(".")[1] != own.split(".")[1]:
            assert layer_of(imported) < layer_of(own), f"{own} imports {imported}"


def test_the_player_and_a_preset_load_without_torch_and_scipy_signal() -> None:
    """Their imports cost seconds, and `serve` and `play` are to be ready at once."""
    loading = """
import sys
import bridge.cli, bridge.player, melnet_music.bench, melnet_music.instrument, melnet_music.offline
from melnet_music.mel import LogMelStream
from melnet_music.preset import load_preset
from melnet_music.vocoders.phase import PhaseVocoder

preset = load_preset("piano")
LogMelStream(preset.config.sound), PhaseVocoder(preset.config.sound)
print(*sorted({"torch", "librosa", "scipy.signal"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == ""
