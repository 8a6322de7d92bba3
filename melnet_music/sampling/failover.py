"""An engine that goes on with another when what it computes on fails: a card lost in the middle of a take."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.sampling.batch import first_takes, takes_of
from melnet_music.sampling.engine import Chunk, Engine, EngineFailedError, Generated, SamplerState

_LOG = logging.getLogger(__name__)
Result = TypeVar("Result")


class FailoverEngine:
    """The first engine until it fails, then the second, for good. Belongs to one thread.

    States are values, and the same for both: a take goes on from its last whole chunk. What follows is what the second
    engine draws there with the same noise; with other weights' precision, the take is no longer either engine's alone.
    Of takes that the first draws together, as many go on as the second can: of the others there are no more rows.
    """

    def __init__(self, first: Engine, second: Engine) -> None:
        """``second``: ready to play, for there is no time to load it then."""
        self._now, self._second = first, second
        self.name = first.name
        """Of the engine that computes now."""
        self.on_failure: Callable[[str], object] = lambda message: None
        """Called once, on the engine's thread, with what failed and what goes on."""

    @property
    def most_takes(self) -> int:
        """Of the engine that computes now."""
        return self._now.most_takes

    def init_state(self, batch: int = 1) -> SamplerState:
        return self._do(lambda engine: engine.init_state(batch))

    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        return self._do(lambda engine: engine.prime(state, frames, chunk_frames, known))

    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        return self._do(lambda engine: engine.nats(state, frames, tiers))

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        source, unmade = iter(chunks), deque[Chunk]()

        def noted() -> Iterator[Chunk]:
            for chunk in source:
                unmade.append(chunk)
                yield chunk

        if self._now is not self._second:
            engine = self._now
            try:
                with closing(engine.sampling(state, noted())) as making:
                    for made in making:
                        if made is not None:
                            state = made.state
                            unmade.popleft()
                        yield made
                return
            except EngineFailedError as error:
                self._fail(engine, error)
        most = self._second.most_takes
        left = itertools.chain(unmade, source)
        yield from self._second.sampling(takes_of(state, 0, most), (first_takes(chunk, most) for chunk in left))

    def close(self) -> None:
        if self._now is not self._second:
            self._now.close()
        self._second.close()

    def _do(self, work: Callable[[Engine], Result]) -> Result:
        engine = self._now
        try:
            return work(engine)
        except EngineFailedError as error:
            if engine is self._second:
                raise
            self._fail(engine, error)
        return work(self._second)

    def _fail(self, engine: Engine, error: EngineFailedError) -> None:
        """``engine``: that failed; another take may have found out before."""
        if self._now is not engine:
            return
        self._now, self.name = self._second, self._second.name
        message = f"engine {engine.name} failed ({error}); {self._second.name} goes on"
        _LOG.warning("%s", message)
        try:
            engine.close()
        except EngineFailedError as worse:
            _LOG.info("the engine that failed did not close: %s", worse)
        self.on_failure(message)
