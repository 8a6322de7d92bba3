from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from melnet_music.model.mixture import VALUE_LIMIT, Mixture, mixture

DRAWS = 100_000
seeds = st.integers(0, 2**31)
sigma_forms = pytest.mark.parametrize("sigma", ["softplus", "exp"])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_mixture(*shape: int, seed: int = 0, components: int = 4) -> Mixture:
    return mixture(1.5 * random(*shape, 3 * components, seed=seed), -2.0, "softplus")


def as_torch_distribution(mixed: Mixture) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=mixed.log_pi), Normal(mixed.mu, mixed.log_sigma.exp()))


def noise(draws: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(draws, generator=generator, dtype=torch.float64),
        torch.randn(draws, generator=generator, dtype=torch.float64),
    )


def spread(mixed: Mixture, draws: int) -> Mixture:
    """One mixture for many draws."""
    return Mixture(*(part.expand(draws, -1) for part in mixed))


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_the_density_integrates_to_one(seed: int) -> None:
    mixed = some_mixture(seed=seed)
    reach = (mixed.mu.abs() + 10 * mixed.log_sigma.exp()).max().item()
    steps = math.ceil(2 * reach / (0.2 * mixed.log_sigma.exp().min().item()))
    x = torch.linspace(-reach, reach, steps + 1, dtype=torch.float64)
    density = mixed.log_prob(x).exp()
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, components=st.integers(1, 12))
def test_the_density_is_that_of_torch_distributions(seed: int, components: int) -> None:
    mixed, x = some_mixture(2, 3, 5, seed=seed, components=components), 2 * random(2, 3, 5, seed=seed + 1)
    torch.testing.assert_close(mixed.log_prob(x), as_torch_distribution(mixed).log_prob(x))
    torch.testing.assert_close(mixed.log_pi.exp().sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))


def test_the_density_is_finite_far_away_in_float32() -> None:
    raw = torch.tensor([0.0, 50.0, 0.0, 0.1, -20.0, -20.0])
    values = mixture(raw, -7.0, "exp").log_prob(torch.tensor([-1000.0, 0.0, 1000.0]))
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("seed", range(5))
def test_draws_follow_the_density(seed: int) -> None:
    mixed = some_mixture(seed=seed)
    drawn = spread(mixed, DRAWS).draw(*noise(DRAWS)).sort().values
    expected = as_torch_distribution(mixed)
    # Kolmogorov-Smirnov: a right sampler passes 1.95 / sqrt(n) in 999 of 1000 cases, and the noise is fixed
    steps = torch.arange(1, DRAWS + 1, dtype=torch.float64) / DRAWS
    assert (expected.cdf(drawn) - steps).abs().max() < 1.95 / math.sqrt(DRAWS)
    deviation = expected.variance.sqrt()
    assert abs(drawn.mean() - expected.mean) < 4 * deviation / math.sqrt(DRAWS)
    assert abs(drawn.std() / deviation - 1) < 0.02


@settings(max_examples=30, deadline=None)
@given(seed=seeds, bias=st.floats(0, 3))
def test_bias_sharpens_the_weights_and_divides_sigma(seed: int, bias: float) -> None:
    """Graves 2013: logits times 1 + bias, log sigma minus bias."""
    mixed = some_mixture(seed=seed)
    sharper = Mixture(torch.log_softmax(mixed.log_pi * (1 + bias), -1), mixed.mu, mixed.log_sigma - bias)
    given_noise = noise(1000, seed)
    torch.testing.assert_close(
        spread(mixed, 1000).draw(*given_noise, bias=bias), spread(sharper, 1000).draw(*given_noise)
    )


@settings(max_examples=30, deadline=None)
@given(seed=seeds, tilt=st.floats(-2, 2), bias=st.floats(0, 2), temperature=st.floats(0.1, 2))
def test_tilt_multiplies_the_density_by_its_exponential(
    seed: int, tilt: float, bias: float, temperature: float
) -> None:
    mixed = some_mixture(seed=seed)
    log_sigma = mixed.log_sigma - bias + math.log(temperature)
    sharper = Mixture(torch.log_softmax(mixed.log_pi * (1 + bias), -1), mixed.mu, log_sigma)
    shift = tilt * torch.exp(2 * log_sigma)
    log_pi = torch.log_softmax(sharper.log_pi + tilt * (mixed.mu + shift / 2), -1)
    tilted = Mixture(log_pi, mixed.mu + shift, log_sigma)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    lifted = spread(tilted, 9).log_prob(x) - spread(sharper, 9).log_prob(x) - tilt * x
    torch.testing.assert_close(lifted, lifted[:1].expand(9))  # up to its norm, which does not depend on x
    given_noise = noise(1000, seed)
    torch.testing.assert_close(
        spread(mixed, 1000).draw(*given_noise, temperature, bias, tilt), spread(tilted, 1000).draw(*given_noise)
    )


@settings(max_examples=30, deadline=None)
@given(seed=seeds, temperature=st.floats(0.01, 2))
def test_temperature_scales_the_way_from_the_mean(seed: int, temperature: float) -> None:
    mixed = Mixture(*(part / scale for part, scale in zip(some_mixture(seed=seed), (1, 4, 1), strict=True)))
    mixed = mixed._replace(log_sigma=mixed.log_sigma.clamp(max=-0.5))  # VALUE_LIMIT is not met
    uniform, normal = noise(1000, seed)
    many = spread(mixed, 1000)
    means = many.draw(uniform, torch.zeros_like(normal))
    plain, scaled = many.draw(uniform, normal), many.draw(uniform, normal, temperature=temperature)
    torch.testing.assert_close(scaled - means, temperature * (plain - means))


def test_great_bias_gives_the_mean_of_the_likeliest_component() -> None:
    mixed = some_mixture(100)
    likeliest = mixed.mu.gather(-1, mixed.log_pi.argmax(-1, keepdim=True)).squeeze(-1)
    torch.testing.assert_close(mixed.draw(*noise(100), bias=1000.0), likeliest)


@pytest.mark.parametrize(
    ("uniform", "component"), [(0.0, 0), (0.19999, 0), (0.20001, 1), (0.69999, 1), (0.70001, 2), (1.0, 2)]
)
def test_uniform_picks_the_component_by_its_share(uniform: float, component: int) -> None:
    shares, means = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([-1.0, 0.5, 2.0])
    mixed = Mixture(shares.log(), means, torch.zeros(3))
    assert mixed.draw(torch.tensor(uniform), torch.tensor(0.0)) == means[component]


@sigma_forms
def test_sigma_is_never_below_the_floor(sigma: Literal["softplus", "exp"]) -> None:
    raw = torch.linspace(-1000, 3, 500)
    mixed = mixture(torch.stack([raw * 0, raw * 0, raw], -1), -4.0, sigma)
    assert mixed.log_sigma.min() == -4.0
    assert (mixed.log_sigma.diff(dim=0) >= 0).all()
    assert mixed.log_sigma.max() > -1.5


def test_sigma_in_the_papers_form_is_the_exponential() -> None:
    assert mixture(torch.tensor([0.0, 0.0, 0.7]), -7.0, "exp").log_sigma == pytest.approx(0.7)


def test_draws_stay_inside_the_value_limit() -> None:
    mixed = Mixture(torch.zeros(2, 1), torch.tensor([[-5.0], [5.0]]), torch.full((2, 1), 3.0))
    drawn = mixed.draw(torch.zeros(2), torch.tensor([-4.0, 4.0]))
    assert drawn.tolist() == [-VALUE_LIMIT, VALUE_LIMIT]
