"""Log-mel frames drawn from a preset's model: chunk after chunk, or one chunk that sees what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.blocks import first_of, without_first
from melnet_music.instrument.take_notes import NoteMaps
from melnet_music.instrument.take_request import Alternative, TakeRequest
from melnet_music.model.conditioning import Conditioning
from melnet_music.model.preset import Preset
from melnet_music.sampling.batch import Batch, OtherTake
from melnet_music.sampling.engine import Chunk, Engine, Forced, SamplerState, Sharpness, take_noise
from melnet_music.sampling.surprise import SurpriseMeter
from melnet_music.sound.level_hold import LevelHold
from melnet_music.sound.limiter import limited

Samples = npt.NDArray[np.float32]
NotesOf = Callable[[TakeRequest], NoteMaps]
"""The note maps of a take, or of an alternative to it as it would be asked for alone."""


class FrameSampler:
    """Draws log-mel frames from one preset's model on one engine. Holds nothing of a take."""

    def __init__(self, preset: Preset, engine: Engine, fourier: str) -> None:
        self.preset, self.engine, self.sound = preset, engine, preset.config.sound
        self.fourier = fourier
        """What vocodes the frames; `phase.FOURIERS`."""
        self.chunk_frames = preset.config.sampling.chunk_frames
        """Frames drawn together by default."""
        self.no_frames: Samples = np.zeros((0, self.sound.mel_bins), np.float32)

    def prime(
        self, state: SamplerState, frames: Samples, chunk_frames: int, meter: SurpriseMeter | None = None
    ) -> tuple[SamplerState, Samples]:
        """Feed all whole chunks of log-mel frames ``[T, M]``.

        Args:
            meter: judges each of them first.

        Returns:
            the state after them, and the frames ``[t, M]`` left over, fewer than ``chunk_frames``.
        """
        whole = len(frames) // chunk_frames * chunk_frames
        # always one chunk a call: sums over other shapes round differently, and a take would depend on block sizes
        for first in range(0, whole, chunk_frames):
            chunk = self._normalised(frames[first : first + chunk_frames])
            if meter:
                meter.hear(state, chunk)
            state = self.engine.prime(state, chunk, chunk_frames)
        return state, frames[whole:]

    def draw_on(
        self,
        state: SamplerState,
        known: Samples,
        count: int,
        request: TakeRequest,
        notes_of: NotesOf,
        *,
        usual_power: float,
        loudest_power: float,
    ) -> Iterator[Samples]:
        """``count`` new log-mel frames, chunk after chunk, ``[t, M]`` each; empty ones while a chunk is made.

        Args:
            known: ``[k, M]``, less than a chunk: frames before the first new one that the state lacks.
            notes_of: numbered from the first known frame.
            usual_power: of a frame, that the take is held near.
            loudest_power: see `limited`.
        """
        if count <= 0:
            return iter(())

        def led(each: TakeRequest) -> tuple[Iterator[Chunk], LevelHold]:
            hold = LevelHold(usual_power, self.preset.config.sampling.level_hold, self.sound.frames_per_second)
            return self._chunks(known, len(known) + count, each, notes_of(each), hold), hold

        first, hold = led(request)
        others = []
        for other in self._alternatives(request):
            chunks, its = led(request.alternative(other))
            others.append(OtherTake(chunks, other.drawn, self._telling(its)))
        in_advance = request.notes is None or isinstance(request.notes, tuple) or request.notes.known_ahead
        together = in_advance and not request.at_leisure
        made = (self._made if together else self._made_one_by_one)(state, first, Batch(others))
        frames = first_of(without_first(_followed(made, hold), len(known)), count)
        return (limited(block, loudest_power) for block in frames)

    def _alternatives(self, request: TakeRequest) -> tuple[Alternative, ...]:
        """As many as the engine draws with it."""
        return request.alternatives[: self.engine.most_takes - 1]

    def _telling(self, hold: LevelHold) -> Callable[[npt.NDArray[Any]], None]:
        return lambda frames: hold.made(self.log_mel(frames))

    def draw_between(
        self, around: Samples, first: int, count: int, request: TakeRequest, notes_of: NotesOf
    ) -> Iterator[Samples]:
        """Frames ``first`` to ``first + count`` of ``around [T, M]`` anew, as one chunk that sees what follows.

        Args:
            notes_of: numbered from the first frame of ``around``.
        """
        state, at_once = self.engine.init_state(), self.chunk_frames if request.at_leisure else max(1, first)
        before = self.no_frames
        for begin in range(0, first, at_once):
            heard = np.concatenate([before, around[begin : min(begin + at_once, first)]])
            state, before = self.prime(state, heard, self.chunk_frames)
            if request.at_leisure:
                yield self.no_frames
        model = self.preset.config.model
        after = around[first + count :]
        length = -(-(len(before) + count + len(after)) // model.frames_per_group) * model.frames_per_group
        values = np.zeros((length, self.sound.mel_bins), np.float32)
        start, stop = len(before), len(before) + count
        values[:start], values[stop : stop + len(after)] = before, after
        place = np.arange(length)
        future = (place >= stop) & (place < stop + len(after))
        x = self._normalised(values)
        sees_future = model.future_conditioning and len(after)

        def chunk_of(each: TakeRequest) -> Chunk:
            notes_here = notes_of(each)(first - start, length)
            if notes_here is not None:
                notes_here[:, stop:] = 0  # notes after the part are not known
            known = Conditioning(notes=notes_here)
            if sees_future:
                known = Conditioning(x, future[None].astype(np.float32), notes_here)
            sharpness = self._sharpness(each, known)
            if sees_future:
                # tilt makes up for fading away; here what follows says how loud it is to be
                sharpness = replace(sharpness, tilt=0.0)
            noise = take_noise(each.seed, 0, length, self.sound.mel_bins)
            return Chunk(noise, sharpness, known, Forced(x, (place < start) | future))

        others = [
            OtherTake(iter([chunk_of(request.alternative(other))]), other.drawn, lambda frames: None)
            for other in self._alternatives(request)
        ]
        made = self._made(state, [chunk_of(request)], Batch(others))
        yield from first_of(without_first(made, start), count)

    def log_mel(self, frames: npt.NDArray[Any]) -> Samples:
        """Log-mel frames ``[T, M]`` of what the engine draws, of its first take: ``[B, T, M]`` normalised."""
        weights = self.preset.weights
        log_mels: Samples = frames[0] * weights["deviation"] + weights["mean"]
        return log_mels

    def _normalised(self, frames: Samples) -> Samples:
        """The inverse of `log_mel`."""
        weights = self.preset.weights
        return ((frames - weights["mean"]) / weights["deviation"])[None]

    def _chunks(
        self, known: Samples, count: int, request: TakeRequest, notes: NoteMaps, hold: LevelHold
    ) -> Iterator[Chunk]:
        """What ``count`` frames are drawn from, the first of them ``known``; the last chunk may reach past them."""
        length, mel_bins = request.chunk_frames or self.chunk_frames, self.sound.mel_bins
        for place in range(0, count, length):
            forced = None
            if place == 0 and len(known):
                values = np.zeros((length, mel_bins), np.float32)
                values[: len(known)] = known
                forced = Forced(self._normalised(values), np.arange(length) < len(known))
            noise = take_noise(request.seed, place, length, mel_bins)
            known_here = Conditioning(notes=notes(place, length))
            sharpness = self._sharpness(request, known_here)
            sharpness = replace(sharpness, tilt=sharpness.tilt + hold.tilt(place // length))
            yield Chunk(noise, sharpness, known_here, forced)

    def _made(self, state: SamplerState, chunks: Iterable[Chunk], batch: Batch) -> Iterator[Samples]:
        """Log-mel frames of chunk after chunk, ``[T, M]`` each; empty ones while a chunk is made.

        Args:
            batch: what is drawn beside them, and kept there.
        """
        with closing(self.engine.sampling(batch.state(state), batch.chunks(chunks))) as making:
            for made in making:
                if made is not None:
                    batch.keep(made, self.engine.name)
                yield self.no_frames if made is None else self.log_mel(made.frames)

    def _made_one_by_one(self, state: SamplerState, chunks: Iterable[Chunk], batch: Batch) -> Iterator[Samples]:
        """The same bits, but a chunk is begun only after the one before it was taken, and none is in work meanwhile."""
        state = batch.state(state)
        for chunk in batch.chunks(chunks):
            with closing(self.engine.sampling(state, [chunk])) as making:
                for made in making:
                    if made is not None:
                        state = made.state
                        batch.keep(made, self.engine.name)
                    yield self.no_frames if made is None else self.log_mel(made.frames)

    def _sharpness(self, request: TakeRequest, known: Conditioning[npt.NDArray[Any]]) -> Sharpness:
        noted = known.notes is not None and bool(known.notes.any())
        return Sharpness.of(self.preset.config.sampling, request.temperature, request.bias, noted=noted)


def _followed(frames: Iterator[Samples], hold: LevelHold) -> Iterator[Samples]:
    """The same frames, each block of which the level is told of before it is passed on."""
    for block in frames:
        if len(block):
            hold.made(block)
        yield block
