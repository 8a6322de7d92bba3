"""Preset files: one strict schema, so that a typo is an error that names the valid choices.

A preset is a folder with ``preset.toml`` (this schema), ``weights.safetensors`` and ``card.md``.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CellName = Literal["mingru", "gru", "lstm"]
Axis = Literal["time", "frequency"]
PositiveInt = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
FromList = Field(strict=False)
"""For tuples: TOML has lists only. What is in them stays strict."""

VALUE_LIMIT = 8.0
"""Normalised values are drawn inside +-8 deviations: one wild draw must not blow up what follows it."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class SoundConfig(_Strict):
    """The front end: mono audio to log-mel frames. Slaney mel scale, magnitude, natural log."""

    sample_rate_hz: PositiveInt = 22050
    n_fft: PositiveInt = 2048
    window_samples: PositiveInt = 2048
    hop_samples: PositiveInt = 512
    mel_bins: PositiveInt = 192
    fmin_hz: Annotated[float, Field(ge=0)] = 20.0
    fmax_hz: Annotated[float, Field(gt=0)] = 11025.0
    magnitude_floor: Annotated[float, Field(gt=0)] = 3e-4
    """Added to the mel magnitude before the log: a soft floor, so that no bin piles up on one value."""

    @property
    def frames_per_second(self) -> float:
        return self.sample_rate_hz / self.hop_samples

    @model_validator(mode="after")
    def _consistent(self) -> SoundConfig:
        if self.window_samples > self.n_fft:
            raise ValueError(f"window_samples {self.window_samples} is longer than n_fft {self.n_fft}")
        if self.window_samples % self.hop_samples:
            raise ValueError(
                f"window_samples {self.window_samples} is not a multiple of hop_samples {self.hop_samples}"
            )
        if not self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"want fmin_hz < fmax_hz <= {self.sample_rate_hz / 2:g}, got {self.fmin_hz:g} and {self.fmax_hz:g}"
            )
        return self


class TierConfig(_Strict):
    """One tier's network."""

    hidden: PositiveInt
    layers: PositiveInt
    centralized_hidden: Annotated[int, Field(ge=0)] = 0
    """Width of the centralized stack; 0 leaves it out (the paper has it in the first tier only)."""


class ModelConfig(_Strict):
    """The multiscale network (MelNet, arXiv 1906.01083). Defaults are ours; the paper's are in paper-maestro."""

    cell: CellName = "mingru"
    components: PositiveInt = 10
    splits: Annotated[tuple[Axis, ...], FromList]
    """Axis along which tier 2, 3, ... doubles the grid; empty for a single tier."""
    split_keeps: Literal["first", "last"] = "last"
    """Which frame of a pair the coarse grid of a time split holds. The paper keeps the first."""
    tiers: Annotated[tuple[TierConfig, ...], FromList]
    log_sigma_floor: float = -4.0
    sigma: Literal["softplus", "exp"] = "softplus"
    """``softplus``: log sigma = floor + softplus(r). ``exp``: log sigma = max(r, floor), the paper's."""
    bin_embedding: bool = True
    """A trained vector a bin, which the paper does without."""
    chrono_frames: Annotated[float, Field(ge=0)] = 30.0
    """Longest time constant that the first tier's recurrent gates start with (a third of it above); 0: none."""
    future_conditioning: bool = True
    """Extractor channels for the known future value and its mask: inpainting."""
    note_conditioning: bool = True
    """Extractor channels for notes sounding and notes starting."""
    note_detail: Literal["pooled", "folded"] = "folded"
    """What a bin of a coarse tier sees of the notes: ``folded``, all bins that it stands for, each in channels of its
    own; ``pooled``, the strongest of them, which leaves the first tier unsure of the pitch."""
    note_partials: PositiveInt = 8
    """A note is shown on the bins of so many of its partials."""
    chunked_lookahead: bool = True
    """Restart the extractor's backward-time RNN at the end of every chunk. Off: the paper's whole-clip RNN."""

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if len(self.tiers) != len(self.splits) + 1:
            raise ValueError(
                f"{len(self.splits)} splits make {len(self.splits) + 1} tiers, but {len(self.tiers)} are given"
            )
        return self

    @property
    def frames_per_group(self) -> int:
        """Full-grid frames that one frame of the first tier stands for: 2^(time splits)."""
        return int(2 ** self.splits.count("time"))


class SamplingConfig(_Strict):
    """Defaults for playing, chosen by measurement."""

    chunk_frames: PositiveInt = 8
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Scales every sigma."""
    bias: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Graves 2013 (arXiv 1308.0850): mixture logits times (1 + bias), log sigma minus bias."""
    upper_temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    """As temperature, for the upsampling tiers; multiplied with it."""
    upper_bias: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Added to bias in the upsampling tiers."""
    notes_temperature: Annotated[float, Field(gt=0, le=2)] | None = None
    """As temperature, where notes are given: they say what is to sound, and less is left to chance. None: the same."""
    notes_bias: Annotated[float, Field(ge=0, le=10)] | None = None
    """As bias, where notes are given; None: the same."""
    tilt: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Density times exp(tilt x) in the first tier: more than 0 is louder. Not where a part is repainted whose future is
    known."""
    level_hold: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Tilt for every dB that a take has become softer than what was heard."""
    plan: bool = False
    """Whether takes have their notes planned first, where nobody says otherwise. The same notes make the same sound."""
    context_seconds: Annotated[float, Field(gt=0)] = 20.0
    """How much of the past is fed to the model when it has to catch up."""


class TierTraining(_Strict):
    """How one tier is trained."""

    learning_rate: Annotated[float, Field(gt=0)]
    matrix_rate: Annotated[float, Field(gt=0)] = 5e-3
    """Learning rate of the matrices from hidden to hidden, where the optimizer is ``muon``."""
    minutes: Annotated[float, Field(gt=0)]
    """Length of the run when no step count is given: of the processor's time on a CPU, of the clock's on a GPU."""
    batch: PositiveInt = 1
    clip_frames: PositiveInt = 256
    """Length of a clip on the full grid. A run starts with a quarter of it, then a half."""
    before_frames: Annotated[int, Field(ge=0)] = 0
    """Before every other clip up to so many frames more are heard, and not learned: a model that only ever began anew
    loses its way after some such lengths."""
    past_noise: Annotated[float, Field(ge=0)] = 0.0
    """Largest standard deviation of noise on what the stacks over the past see (exposure), in normalised units."""
    coarse_noise: Annotated[float, Field(ge=0)] = 0.0
    """The same for the coarser tiers' values that an upsampling tier sees."""


class TrainingConfig(_Strict):
    """Training defaults; the command line may override lengths."""

    optimizer: Literal["muon", "adam", "rmsprop"] = "adam"
    warmup_steps: Annotated[int, Field(ge=0)] = 60
    final_rate: Probability = 0.03
    """The cosine decay ends at this fraction of the learning rate. 1: no decay (the paper's)."""
    gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """The weights that are kept are a running average of the trained ones; 0: the last ones themselves."""
    level_range_db: Annotated[float, Field(ge=0)] = 0.0
    """Every clip is made louder or softer by up to this: players are not as even as a studio."""
    future_probability: Probability = 0.25
    notes_probability: Probability = 0.5
    chunk_frames: Annotated[tuple[PositiveInt, ...], FromList] = (4, 8, 16)
    """Chunk lengths drawn from in training, besides the whole clip."""
    carry_state: bool = False
    """Rows of a batch follow recordings from beginning to end, their state carried from clip to clip, in place of
    ``before_frames``; every clip has its full length."""
    deviation_floor_nats: Annotated[float, Field(gt=0)] = 0.3
    """Smallest per-bin standard deviation that normalisation divides by."""
    tiers: Annotated[tuple[TierTraining, ...], FromList] = ()


class PresetConfig(_Strict):
    """A whole ``preset.toml``."""

    title: str
    licence: str
    sound: SoundConfig
    model: ModelConfig
    sampling: SamplingConfig = SamplingConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _consistent(self) -> PresetConfig:
        group = self.model.frames_per_group
        bins = 2 ** self.model.splits.count("frequency")
        if self.sound.mel_bins % bins:
            raise ValueError(f"mel_bins {self.sound.mel_bins} must be a multiple of {bins}, by the frequency splits")
        for where, chunks in (
            ("sampling", (self.sampling.chunk_frames,)),
            ("training", self.training.chunk_frames),
        ):
            for chunk in chunks:
                if chunk % group:
                    raise ValueError(f"{where}.chunk_frames {chunk} must be a multiple of {group}, by the time splits")
        if self.sampling.plan and not self.model.note_conditioning:
            raise ValueError("sampling.plan plans notes, which a model without note_conditioning cannot play")
        if self.training.tiers and len(self.training.tiers) != len(self.model.tiers):
            raise ValueError(
                f"training.tiers lists {len(self.training.tiers)} tiers, the model has {len(self.model.tiers)}"
            )
        return self


def read_preset_config(path: Path) -> PresetConfig:
    """Read and check a ``preset.toml``.

    Raises:
        ValueError: the file is missing, no TOML, or does not fit; the message says where and what is valid.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no preset file at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from None
    return parse_preset_config(raw, str(path))


def parse_preset_config(raw: dict[str, Any], source: str) -> PresetConfig:
    """Check a parsed preset; ``source`` names it in errors. Raises ValueError."""
    try:
        return PresetConfig.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(_explain(detail) for detail in error.errors())
        raise ValueError(f"{source}: {problems}") from None


def _explain(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "preset"
    if detail["type"] == "extra_forbidden":
        *parents, key = detail["loc"]
        valid = sorted(_model_at(parents).model_fields)
        near = difflib.get_close_matches(str(key), valid, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"unknown key {where}{hint}; valid here: {', '.join(valid)}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("missing", "value_error"):
        return f"{where}: {message[0].lower()}{message[1:]}"
    return f"{where}: {message[0].lower()}{message[1:]}, got {detail['input']!r}"


def _model_at(location: list[Any]) -> type[BaseModel]:
    """The schema class that a location inside a preset belongs to."""
    lists: dict[tuple[str, ...], type[BaseModel]] = {
        ("model", "tiers"): TierConfig,
        ("training", "tiers"): TierTraining,
    }
    names = tuple(part for part in location if isinstance(part, str))
    return lists[names] if names in lists else _inner_model(PresetConfig, names)


def _inner_model(schema: type[BaseModel], names: tuple[str, ...]) -> type[BaseModel]:
    inner = schema.model_fields[names[0]].annotation if names else None
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return _inner_model(inner, names[1:])
    return schema
