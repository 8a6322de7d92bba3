"""Imports run one way, and what is fragile is imported in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST_FILE_LINES, MOST_FILES_OF_A_PACKAGE = 500, 15
SOURCES = sorted([*(ROOT / "bridge").rglob("*.py"), *(ROOT / "melnet_music").rglob("*.py")])
FACES = sorted((ROOT / "faces").rglob("*.py"))

ONLY_IMPORTER = {
    "sounddevice": {"bridge/audio/device_process.py"},
    "pythonosc": {"bridge/osc/datagrams.py"},
    "aalink": {"bridge/clock/link.py"},
    "websockets": {"bridge/osc/oscquery/server.py"},
    "rtmidi": {"bridge/midi/ports.py"},
    "librosa": {"melnet_music/kernel_cache.py"},
    "numba.njit": {"melnet_music/kernel_cache.py"},
    "mido": {"melnet_music/composing/make_data.py", "melnet_music/notes/midi_file.py"},
    "multiprocessing.shared_memory": {
        "bridge/audio/shared_samples.py",
        "bridge/audio/output_ring.py",
        "bridge/audio/input_ring.py",
        "bridge/tape/tape_memory.py",
        "bridge/audio/loop_player.py",
    },
}


@cache
def imported_modules(path: Path) -> frozenset[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(modules)


def test_sources_are_found() -> None:
    assert ROOT / "bridge" / "stage" / "daemon.py" in SOURCES
    assert ROOT / "melnet_music" / "model" / "config.py" in SOURCES


def test_the_instrument_knows_no_stage() -> None:
    for path in SOURCES:
        if path.is_relative_to(ROOT / "melnet_music"):
            tops = {module.split(".")[0] for module in imported_modules(path)}
            assert not tops & {"bridge", "socket", "sounddevice", "pythonosc"}, path


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.name)
def test_a_face_stands_alone(path: Path) -> None:
    """It is copied beside a DAW, without the rest of the repository."""
    tops = {module.split(".")[0] for module in imported_modules(path)}
    assert tops - set(sys.stdlib_module_names) <= {"pythonosc", "melnet_music_client"}


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
        *(path.relative_to(ROOT / "bridge").as_posix() for path in sorted((ROOT / "bridge" / "protocol").glob("*.py"))),
        *(path.relative_to(ROOT / "bridge").as_posix() for path in sorted((ROOT / "bridge" / "clock").glob("*.py"))),
        "processes/messages.py",
        "takes/job_queue.py",
        "takes/start_time.py",
        "osc/oscquery/access.py",
        "osc/oscquery/tree.py",
        "midi/controller.py",
        "midi/gestures.py",
        "midi/held_notes.py",
        "midi/learn.py",
        "midi/mapping.py",
        "midi/mapping_file.py",
        "midi/notes_script.py",
        "midi/ports.py",
        "midi/soft_takeover.py",
    ],
)
def test_pure_parts_import_only_the_standard_library_and_each_other(name: str) -> None:
    tops = {module.split(".")[0] for module in imported_modules(ROOT / "bridge" / name)}
    assert tops - {"rtmidi", "aalink"} <= {*sys.stdlib_module_names, "bridge"}


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
    loading = 'import sys, bridge.stage.daemon; print(*sorted({"websockets"} & set(sys.modules)))'
    result = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == ""


LAYERS = [
    "melnet_music.kernel_cache",
    "melnet_music.model",
    "melnet_music.sound",
    "melnet_music.notes",
    "melnet_music.sampling",
    "melnet_music.instrument",
    "melnet_music.composing",
    "melnet_music.bench",
    "melnet_music.training",
    "melnet_music.evaluation",
    "bridge.audio",
    "bridge.clock",
    "bridge.protocol",
    "bridge.processes",
    "bridge.osc",
    "bridge.midi",
    "bridge.panel",
    "bridge.takes",
    "bridge.tape",
    "bridge.player",
    "bridge.stage",
    "bridge.cli",
]
"""All packages, and the module below them; each imports from those before its own, and from itself."""


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def our_modules() -> frozenset[str]:
    return frozenset(module_name(source) for source in SOURCES)


def imported_ours(path: Path) -> frozenset[str]:
    """The modules of ours that a file imports."""
    return imported_modules(path) & our_modules()


def test_packages_import_one_way() -> None:
    for path in SOURCES:
        if len(path.relative_to(ROOT).parts) == 2:
            continue
        own = package_of(module_name(path))
        for imported in imported_ours(path):
            if "." in imported and package_of(imported) != own:
                assert LAYERS.index(package_of(imported)) < LAYERS.index(own), f"{module_name(path)} imports {imported}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    imports = {module_name(path): imported_ours(path) for path in SOURCES if path.name != "__init__.py"}
    TopologicalSorter(imports).prepare()  # raises CycleError, with the cycle


@pytest.mark.parametrize("package", sorted({path.parent for path in SOURCES}), ids=lambda path: path.name)
def test_a_package_says_what_it_is_for(package: Path) -> None:
    """What for, what it may import, and which threads run in it."""
    document = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert document
    assert len(document.splitlines()) == 4


def test_files_and_packages_stay_small() -> None:
    """So that each is about one thing; what tests share and what is measured beside them included."""
    everything = [*SOURCES, *FACES, *(ROOT / "tests").rglob("*.py")]
    too_long = [path for path in everything if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE_LINES]
    assert not too_long
    files = Counter(path.parent for path in everything if path.name != "__init__.py")
    assert max(files.values()) <= MOST_FILES_OF_A_PACKAGE, files.most_common(1)


def test_the_player_and_a_preset_load_without_torch_and_scipy_signal() -> None:
    """Their imports cost seconds, and `serve` and `play` are to be ready at once."""
    loading = """
import sys
import bridge.cli.main, bridge.player.process, melnet_music.bench
import melnet_music.instrument.instrument, melnet_music.instrument.offline
from melnet_music.sound.mel import LogMelStream
from melnet_music.model.preset import load_preset
from melnet_music.notes.ear.ear import load_ear
from melnet_music.sound.vocoders.phase import PhaseVocoder

preset = load_preset("piano")
LogMelStream(preset.config.sound), PhaseVocoder(preset.config.sound)
print(*sorted({"torch", "librosa", "scipy.signal"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == ""
