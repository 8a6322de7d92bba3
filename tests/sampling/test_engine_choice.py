"""Whether a card will do, and which engine `auto` takes."""

from __future__ import annotations

import ctypes
import logging
import re
import subprocess
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_config, tiny_preset

from melnet_music.sampling import ENGINES, choice
from melnet_music.sampling.choice import choose
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.cuda import available
from melnet_music.sampling.engine import Chunk, EngineFailedError, Generated, SamplerState
from melnet_music.sampling.failover import FailoverEngine
from melnet_music.sampling.reference import ReferenceEngine

PRESET = tiny_preset(tiny_config(hidden=5, layers=1, splits=("time",)), 4)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the engine cuda is for Linux")


class Driver:
    """The CUDA driver's library as far as it is asked, with one card."""

    def __init__(self, error: int = 0, cards: int = 1, capability: tuple[int, int] = (9, 0), mib: int = 80_000) -> None:
        self._error, self._cards, self._capability, self._mib = error, cards, capability, mib

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's names
        return self._error

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._cards
        return 0

    def cuDeviceGet(self, card: Any, number: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, card: Any) -> int:  # noqa: N802
        value._obj.value = self._capability[{75: 0, 76: 1}[attribute]]
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, card: Any) -> int:  # noqa: N802
        size._obj.value = self._mib << 20
        return 0


@pytest.fixture
def no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of devices, empty."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(available, "_DEVICE_FILES", tmp_path)
    return tmp_path


def test_without_a_card_it_says_so(no_card: Path) -> None:
    assert available.why_not() == "no CUDA card was found (no /dev/nvidia0): if there is one, install its driver"
    for name in ("cuda", "cuda-bf16"):
        with pytest.raises(ValueError, match=r"engine cuda cannot run here: no CUDA card was .*--engine cpu-bf16 runs"):
            ENGINES[name](PRESET, None)


def test_without_triton_it_says_what_to_install(no_card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_card / "nvidia0").touch()
    monkeypatch.setattr(available, "find_spec", lambda name: None)
    assert available.why_not() == "Triton is missing: pip install 'melnet-music[cuda]'"
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert available.why_not() == "Triton is missing: pip install 'melnet-music[cuda]'"


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (None, "there is a CUDA card, and no driver for it"),
        (Driver(error=999), "the CUDA driver does not start (error 999)"),
        (Driver(error=100), "the CUDA driver shows no card"),
        (Driver(cards=0), "the CUDA driver shows no card"),
        (Driver(capability=(6, 1)), "the CUDA card is too old: compute capability 6.1, want 7.0 or more"),
        (Driver(mib=2048), "the CUDA card is too small: 2048 MiB, want 3000 or more"),
        (Driver(), "torch was built without CUDA"),
    ],
)
def test_a_card_that_will_not_do_is_told_why(
    driver: Driver | None, reason: str, no_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Driver:
        assert name == "libcuda.so.1"
        if driver is None:
            raise OSError("no such file")
        return driver

    (no_card / "nvidia0").touch()
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(available, "_BUILT_WITHOUT", available._BUILT_WITHOUT if driver is None else _ANYTHING)
    found = available.why_not()
    assert found is not None
    assert found.startswith(reason)


def test_a_card_that_will_do_is_not_objected_to(no_card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_card / "nvidia0").touch()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    monkeypatch.setattr(available, "_BUILT_WITHOUT", _NOTHING)
    assert available.why_not() is None


_ANYTHING, _NOTHING = (re.compile(pattern) for pattern in ("", r"(?!)"))


@pytest.mark.parametrize("text", ["cuda: Optional[str] = None", "cuda = None"])
def test_torch_s_own_word_on_how_it_was_built(text: str) -> None:
    assert available._BUILT_WITHOUT.search(f"debug = False\n{text}\nhip = None\n")
    assert not available._BUILT_WITHOUT.search(
        "debug = None\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"
    )


def test_where_there_is_no_card_auto_is_the_cpu_without_importing_torch_or_triton() -> None:
    choosing = """
import logging, os, sys
from pathlib import Path

os.environ.pop("TRITON_INTERPRET", None)
logging.basicConfig(level=logging.INFO, format="%(message)s")
from melnet_music.model.preset import load_preset
from melnet_music.sampling import ENGINES
from melnet_music.sampling.cuda import available

available._DEVICE_FILES = Path("/nowhere")
print(ENGINES["auto"](load_preset("piano"), 1).name, *sorted({"torch", "triton"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", choosing], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == "cpu-bf16\n"
    assert "engine cpu-bf16: no CUDA card was found" in result.stderr


class Card(ReferenceEngine):
    """The engine of a card that is quick, slow, or lost."""

    name = "card"

    def __init__(self, wrong: Exception | None = None) -> None:
        super().__init__(PRESET.model())
        self._wrong, self.closed = wrong, False

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        if self._wrong:
            raise self._wrong
        yield from super().sampling(state, chunks)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melnet_music.sampling.choice.why_not", lambda: None)


@pytest.mark.usefixtures("a_card")
@pytest.mark.parametrize("card_wins", [True, False])
def test_the_faster_is_chosen_by_measuring(
    card_wins: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = {"card": 0.01 if card_wins else 0.03, "cpu-bf16": 0.02}
    tried = choice._try
    monkeypatch.setattr(
        choice, "_try", lambda engine, preset: tried(engine, preset)._replace(chunk_seconds=seconds[engine.name])
    )
    card = Card()
    with caplog.at_level(logging.INFO):
        engine, why = choose(PRESET, lambda: CpuEngine(PRESET, 1, bfloat16=True), lambda: card)
    chosen = "card" if card_wins else "cpu-bf16"
    assert engine.name == chosen
    assert isinstance(engine, FailoverEngine) == card_wins
    assert card.closed != card_wins
    assert why == f"a chunk of 8 frames takes card {'10' if card_wins else '30'}.0 ms, cpu-bf16 20.0 ms"
    assert f"engine {chosen}: {why}" in caplog.text
    engine.close()
    assert card.closed


@pytest.mark.usefixtures("a_card")
def test_both_are_measured_with_chunks_of_the_preset() -> None:
    asked: list[int] = []

    class Counting(Card):
        def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
            for chunk in chunks:
                asked.append(chunk.frames)
                yield from super().sampling(state, [chunk])

    engine, why = choose(PRESET, Card, Counting)
    assert asked == [PRESET.config.sampling.chunk_frames] * 5
    assert "ms, card" in why
    engine.close()


@pytest.mark.usefixtures("a_card")
@pytest.mark.parametrize("wrong", [EngineFailedError("the card failed: lost"), ValueError("no Triton")])
def test_a_card_that_fails_at_once_is_not_chosen(wrong: Exception) -> None:
    engine, why = choose(PRESET, lambda: CpuEngine(PRESET, 1), lambda: Card(wrong))
    assert (engine.name, why) == ("cpu", f"the card cannot be used: {wrong}")
    engine.close()


@pytest.mark.usefixtures("a_card")
@pytest.mark.parametrize(("wrong", "told"), [(1.0, "1.00"), (float("nan"), "nan")])
def test_a_card_that_computes_wrongly_is_not_chosen(wrong: float, told: str) -> None:
    class Wrong(Card):
        def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
            for made in super().sampling(state, chunks):
                yield None if made is None else made._replace(frames=made.frames + wrong)

    card = Wrong()
    engine, why = choose(PRESET, lambda: CpuEngine(PRESET, 1), lambda: card)
    assert engine.name == "cpu"
    assert card.closed
    assert why == f"card makes other frames than cpu: half are {told} apart"
    engine.close()
