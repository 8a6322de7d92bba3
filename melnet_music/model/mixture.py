"""The output of every bin: a mixture of K Gaussians (MelNet, section 4; Graves 2013, arXiv 1308.0850)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from melnet_music.model.config import VALUE_LIMIT


class Mixture(NamedTuple):
    """Parameters, each ``[..., K]``. ``log_pi`` is normalised."""

    log_pi: Tensor
    mu: Tensor
    log_sigma: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """Natural log density of ``x [...]``, in nats a bin."""
        standard = (x.unsqueeze(-1) - self.mu) * torch.exp(-self.log_sigma)
        parts = self.log_pi - self.log_sigma - 0.5 * standard.square()
        return torch.logsumexp(parts, -1) - 0.5 * math.log(2 * math.pi)

    def draw(
        self,
        uniform: Tensor,
        normal: Tensor,
        temperature: float | Tensor = 1.0,
        bias: float | Tensor = 0.0,
        tilt: float | Tensor = 0.0,
    ) -> Tensor:
        """A value a bin from given noise: ``uniform`` picks the component, ``normal`` the place in it.

        Temperature, bias and tilt are numbers, or ``[..., 1]`` where they differ.

        Args:
            uniform, normal: ``[...]``.
            temperature: scales sigma.
            bias: pi logits times ``1 + bias``, log sigma minus ``bias`` (Graves 2013, section 5.4).
            tilt: density times ``exp(tilt x)``, which leaves it a mixture of Gaussians: each mean moves by
                ``tilt sigma^2``, and the higher components win. What is certain stays as it is.
        """
        variance = torch.exp(2.0 * (self.log_sigma - bias)) * temperature**2
        weights = torch.softmax(self.log_pi * (1.0 + bias) + tilt * (self.mu + 0.5 * tilt * variance), -1)
        pick = (weights.cumsum(-1) <= uniform.unsqueeze(-1)).sum(-1, keepdim=True)
        pick = pick.clamp(max=self.mu.shape[-1] - 1)
        mu = (self.mu + tilt * variance).gather(-1, pick)
        sigma = torch.exp(self.log_sigma.gather(-1, pick) - bias) * temperature
        return (mu + sigma * normal.unsqueeze(-1)).squeeze(-1).clamp(-VALUE_LIMIT, VALUE_LIMIT)


def mixture(raw: Tensor, log_sigma_floor: float, sigma: Literal["softplus", "exp"]) -> Mixture:
    """Read a network's output ``[..., 3K]`` (pi logits, mu, sigma) as a mixture.

    ``softplus``: log sigma = floor + softplus(r). ``exp``: log sigma = max(r, floor).
    """
    logits, mu, spread = raw.chunk(3, -1)
    log_sigma = log_sigma_floor + F.softplus(spread) if sigma == "softplus" else spread.clamp(min=log_sigma_floor)
    return Mixture(torch.log_softmax(logits, -1), mu, log_sigma)
