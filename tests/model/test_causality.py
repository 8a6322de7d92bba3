"""What every output may see, measured: Jacobians in float64, where what is not seen has the gradient 0 exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny_models import MEL_BINS, tiny_config, tiny_model
from torch import Tensor

from melnet_music.model.cells import CELLS
from melnet_music.model.conditioning import Conditioning
from melnet_music.model.config import CellName
from melnet_music.model.mixture import Mixture
from melnet_music.model.network import MelNet
from melnet_music.model.tiers import assemble, decompose

FRAMES = 8
SPLITS = [("frequency", "time"), ("time", "frequency"), ("frequency", "time", "frequency", "time")]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen_by_outputs(outputs: Callable[..., Mixture], *inputs: Tensor) -> list[Tensor]:
    """Which elements of the inputs ``[1, ...]`` each output bin depends on: bool ``[T * F, ...]``, one an input.

    A row of a batch for every bin: one backward pass gives the whole Jacobian.
    """
    shape = outputs(*inputs).mu.shape[1:3]
    count = shape.numel()
    rows = [tensor.expand(count, *tensor.shape[1:]).clone().requires_grad_() for tensor in inputs]
    numbers = torch.cat(outputs(*rows), -1)
    read_out = (numbers * random(numbers.shape[-1])).sum(-1).reshape(count, count)
    gradients = torch.autograd.grad(read_out.diagonal().sum(), rows)
    for gradient in gradients:
        size = gradient.abs()
        # a true dependence is far above rounding, so that none is taken for the other
        assert ((size == 0) | (size > 1e-12 * size.max())).all()
    return [gradient != 0 for gradient in gradients]


def assert_same_sight(seen: Tensor, allowed: Tensor) -> None:
    too_much, too_little = (seen & ~allowed).nonzero(), (allowed & ~seen).nonzero()
    assert not len(too_much), f"output, input that it must not see: {too_much[:5].tolist()}"
    assert not len(too_little), f"output, input that it should see: {too_little[:5].tolist()}"


def own_sight(frames: int, bins: int, *, narrow: bool) -> Tensor:
    """Bins of a tier that each of its outputs may see, ``[T * F, T, F]``: earlier frames, lower bins of its own.

    ``narrow``: a single layer without the centralized stack. Only its RNN upward in frequency passes on what the RNN
    in time remembers, so of frames before the last it sees bins up to its own. The coarser tiers fill that in.
    """
    t, f = (grid.reshape(-1, 1, 1) for grid in torch.meshgrid(torch.arange(frames), torch.arange(bins), indexing="ij"))
    t_in, f_in = torch.arange(frames).view(1, -1, 1), torch.arange(bins).view(1, 1, -1)
    past = (t_in < t) & ((t_in == t - 1) | (f_in <= f)) if narrow else (t_in < t).expand(-1, -1, bins)
    return past | ((t_in == t) & (f_in < f))


def known_sight(frames: int, bins: int, chunk: int | None) -> Tensor:
    """Known bins that each output may see, ``[T * F, T, F]``: all frames up to the end of its chunk."""
    of_chunk = torch.arange(frames) // (chunk or frames)
    allowed = of_chunk.view(1, -1) <= of_chunk.view(-1, 1)
    return allowed.repeat_interleave(bins, 0).unsqueeze(-1).expand(-1, -1, bins)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("centralized_hidden", [0, 3])
@pytest.mark.parametrize("chunk", [1, 3, 4, None])
def test_a_tier_sees_its_past_and_what_is_known_of_its_chunk(
    cell: CellName, layers: int, centralized_hidden: int, chunk: int | None
) -> None:
    bins = 5
    config = tiny_config(cell=cell, layers=layers, centralized_hidden=centralized_hidden)
    tier = tiny_model(config, mel_bins=bins).tier(0)
    x, channels = random(1, FRAMES, bins, seed=1), random(1, FRAMES, bins, tier.channels, seed=2)
    own, known = seen_by_outputs(lambda x, channels: tier(x, channels, chunk=chunk)[0], x, channels)
    assert_same_sight(own, own_sight(FRAMES, bins, narrow=layers == 1 and not centralized_hidden))
    allowed = known_sight(FRAMES, bins, chunk)
    assert_same_sight(known, allowed.unsqueeze(-1).expand(-1, -1, -1, tier.channels))


@pytest.mark.parametrize("cell", CELLS)
def test_a_tier_without_channels_sees_its_past(cell: CellName) -> None:
    config = tiny_config(cell=cell, layers=2, future_conditioning=False, note_conditioning=False)
    tier = tiny_model(config).tier(0)
    assert tier.extractor is None
    none = torch.zeros(FRAMES * MEL_BINS, FRAMES, MEL_BINS, 0)
    [own] = seen_by_outputs(lambda x: tier(x, none[: len(x)])[0], random(1, FRAMES, MEL_BINS))
    assert_same_sight(own, own_sight(FRAMES, MEL_BINS, narrow=False))


def outputs_of(model: MelNet, tier: int, chunk_frames: int | None) -> Callable[[Tensor, Tensor, Tensor], Mixture]:
    """A tier's mixtures from the full grid, as `MelNet.log_prob` makes them."""

    def outputs(x: Tensor, future: Tensor, notes: Tensor) -> Mixture:
        own = decompose(x, model.config)
        known = Conditioning(future, FUTURE_MASK.expand(len(x), -1), notes)
        channels = model.channels(own[:tier], known, *x.shape[:2])[-1]
        mixed: Mixture = model.tier(tier)(own[tier], channels, chunk=model.tier_chunk(tier, chunk_frames))[0]
        return mixed

    return outputs


FUTURE_MASK = torch.tensor([[0, 0, 1, 0, 0, 1, 1, 1]]).double()


@pytest.mark.parametrize("splits", SPLITS, ids=lambda splits: "-".join(axis[0] for axis in splits))
@pytest.mark.parametrize("keeps", ["first", "last"])
@pytest.mark.parametrize("chunk_frames", [4, None])
def test_on_the_full_grid_a_tier_sees_its_past_the_coarser_tiers_and_the_given_future(
    splits: tuple[str, ...], keeps: str, chunk_frames: int | None
) -> None:
    """And of the finer tiers nothing; of the future only what the mask gives."""
    config = tiny_config(splits=splits, split_keeps=keeps, layers=2)
    model = tiny_model(config)
    shape = 1, FRAMES, MEL_BINS
    x, future, notes = random(*shape, seed=1), random(*shape, seed=2), random(*shape, 2, seed=3)
    cells = decompose(torch.arange(FRAMES * MEL_BINS).view(shape), config)  # the number of each cell, by tier
    for tier, own_cells in enumerate(cells):
        frames, bins = own_cells.shape[1:]
        chunk = model.tier_chunk(tier, chunk_frames)
        seen, seen_future, _ = seen_by_outputs(outputs_of(model, tier, chunk_frames), x, future, notes)
        known = known_sight(frames, bins, chunk).flatten(1)
        allowed = torch.zeros(frames * bins, FRAMES * MEL_BINS, dtype=torch.bool)
        allowed[:, own_cells.flatten()] = own_sight(frames, bins, narrow=False).flatten(1)
        if tier:
            allowed[:, assemble(cells[:tier], config)[-1].flatten()] = known
        assert_same_sight(seen.flatten(1), allowed)
        allowed_future = torch.zeros_like(allowed)
        allowed_future[:, own_cells.flatten()] = known
        given = FUTURE_MASK.bool().view(1, -1, 1).expand(-1, -1, MEL_BINS).flatten(1)
        assert_same_sight(seen_future.flatten(1), allowed_future & given)


@pytest.mark.parametrize("keeps", ["first", "last"])
def test_every_tier_sees_a_note_of_its_chunk_wherever_it_lies_in_a_pair(keeps: str) -> None:
    """A note in any cell of the chunk changes every output of the first tier; none of a later chunk does."""
    config = tiny_config(splits=("frequency", "time"), split_keeps=keeps)
    model = tiny_model(config)
    x, chunk_frames = random(1, FRAMES, MEL_BINS), 4
    mixed = outputs_of(model, 0, chunk_frames)
    free = mixed(x, x, torch.zeros(1, FRAMES, MEL_BINS, 2)).mu
    for frame in range(FRAMES):
        for mel_bin in range(MEL_BINS):
            notes = torch.zeros(1, FRAMES, MEL_BINS, 2, dtype=torch.float64)
            notes[0, frame, mel_bin] = 1
            changed = (mixed(x, x, notes).mu != free).all(-1)[0]
            later = frame // chunk_frames * chunk_frames // model.grids[0].stride_frames
            assert not changed[:later].any()
            assert changed[later:].all()


def test_without_chunked_lookahead_the_chunk_length_changes_nothing() -> None:
    """The paper's extractor: it sees the whole clip, whatever the chunk."""
    model = tiny_model(tiny_config(splits=("time", "frequency"), chunked_lookahead=False))
    x = random(1, FRAMES, MEL_BINS)
    for whole, chunked in zip(model.log_prob(x), model.log_prob(x, chunk_frames=4), strict=True):
        assert torch.equal(whole, chunked)
