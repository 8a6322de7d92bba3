"""The ear's network in torch, as it is trained: `notes.ear.network` steps the same frame by frame in numpy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from melnet_music.notes.ear.config import EarConfig
from melnet_music.notes.ear.layout import PITCHES, PLACES, intervals, places
from melnet_music.notes.ear.weights import OUTPUTS

_ONSET_LOGIT, _SOUNDING_LOGIT = -5.0, -2.5
"""About the logits of their frequencies: where a training begins."""


class EarNetwork(nn.Module):
    """Frames to what is heard of each pitch. Parameters as `notes.ear.weights.weight_shapes` names them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        net, self.config = config.network, config
        below, towards = places(config.sound)
        self._below, self._towards = (
            torch.from_numpy(below.reshape(-1).copy()),
            torch.from_numpy(towards.reshape(-1).copy()),
        )
        self._interval = torch.from_numpy(intervals().copy())
        self.register_buffer("mean", torch.zeros(config.sound.mel_bins))
        self.register_buffer("deviation", torch.ones(1))
        self.spectrum = nn.Linear(net.context_frames * PLACES, net.spectrum, bias=False)
        self.pitch = nn.Parameter(torch.zeros(PITCHES, net.spectrum))
        self.overview = nn.Linear(net.context_frames * config.sound.mel_bins, net.overview)
        self.overview_out = nn.Linear(net.overview, net.spectrum)
        self.tell = nn.Linear(net.spectrum, net.told)
        self.told = nn.Parameter(_first_told(net.told))
        self.mix = nn.Linear(net.spectrum + net.told, net.memory)
        self.memory = nn.GRU(net.memory, net.memory)
        self.tell_again = nn.Linear(net.memory, net.told)
        self.told_again = nn.Parameter(_first_told(net.told))
        self.judge = nn.Linear(net.memory + net.told, net.memory)
        self.outlet = nn.Linear(net.memory, OUTPUTS)
        with torch.no_grad():
            self.outlet.weight.mul_(0.3)
            self.outlet.bias.copy_(torch.tensor([_ONSET_LOGIT, _SOUNDING_LOGIT, 0.0, 0.0]))

    def forward(self, frames: Tensor) -> Tensor:
        """Of log-mel frames ``[B, T, M]``, as of a new stream: ``[B, T - lookahead, P, OUTPUTS]``, logits.

        Before the first frame silence is taken to have been.
        """
        net, (batch, _, bins) = self.config.network, frames.shape
        with torch.no_grad():  # time first: so the memory takes its steps from one block each
            silence = frames.new_tensor(self.config.sound.magnitude_floor).log()
            x = torch.cat([silence.expand(net.before_frames, batch, bins), frames.transpose(0, 1)])
            x = (x - self.mean) / self.deviation
            looked = torch.lerp(x[..., self._below], x[..., self._below + 1], self._towards)
            looked = _together(looked.reshape(*looked.shape[:2], PITCHES, PLACES), net.context_frames)
            x = _together(x, net.context_frames)
        overview = self.overview_out(torch.relu(self.overview(x)))
        seen = torch.relu(self.spectrum(looked) + (self.pitch + overview.unsqueeze(2)))
        mixed = torch.relu(self.mix(self._with_others(seen, self.tell, self.told)))
        kept, _ = self.memory(mixed.flatten(1, 2))
        kept = kept.reshape(-1, batch, PITCHES, net.memory)
        judged = torch.relu(self.judge(self._with_others(kept, self.tell_again, self.told_again)))
        outputs: Tensor = self.outlet(judged)
        return outputs.transpose(0, 1)

    def _with_others(self, values: Tensor, tell: nn.Linear, told: Tensor) -> Tensor:
        """``[T, B, P, H]`` beside what the other pitches tell, weighted by their intervals."""
        by_channel = tell(values).flatten(0, 1).permute(2, 0, 1)
        heard = torch.bmm(by_channel, told[:, self._interval]).permute(1, 2, 0)
        return torch.cat([values, heard.reshape(*values.shape[:3], -1)], -1)


def _together(values: Tensor, context: int) -> Tensor:
    """The frames seen at once: of ``[T + context - 1, ..., H]``, ``[T, ..., context H]``."""
    length = len(values) - context + 1
    return torch.cat([values[k : k + length] for k in range(context)], -1)


def _first_told(channels: int) -> Tensor:
    """By interval: little, so that each pitch first learns from what it sees itself."""
    return torch.randn(channels, 2 * PITCHES - 1) * 0.05
