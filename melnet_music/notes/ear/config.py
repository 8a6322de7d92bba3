"""The ear's settings, ``ear.toml``: what it hears, how large its network is, when it believes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from melnet_music.model.config import PositiveInt, SoundConfig

Share = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkConfig(_Strict):
    """Widths, each of one pitch; all pitches share their weights."""

    spectrum: PositiveInt = 32
    """What is made of the partials of a pitch."""
    overview: PositiveInt = 48
    """Of the whole frame, told to every pitch."""
    told: PositiveInt = 8
    """What pitches tell each other, by their interval."""
    memory: PositiveInt = 24
    """The recurrent state of a pitch."""
    before_frames: Annotated[int, Field(ge=0)] = 2
    lookahead_frames: Annotated[int, Field(ge=0, le=4)] = 2
    """Frames seen at once, besides the one in question."""

    @property
    def context_frames(self) -> int:
        return self.before_frames + 1 + self.lookahead_frames


class ThresholdConfig(_Strict):
    """When a note begins and ends; chosen by measurement on the split ``valid``."""

    onset: Share = 0.4
    sounding: Share = 0.3
    """A note ends where its pitch sounds with less probability..."""
    quiet_frames: PositiveInt = 3
    """...for so many frames."""
    again_frames: PositiveInt = 4
    """A key is not struck again sooner."""
    sure_frames: PositiveInt = 5
    """What ends sooner is less probable than it seemed, in proportion: voices bring notes that hardly last."""


class EarConfig(_Strict):
    """A whole ``ear.toml``."""

    sound: SoundConfig
    network: NetworkConfig = NetworkConfig()
    thresholds: ThresholdConfig = ThresholdConfig()


def read_ear_config(path: Path) -> EarConfig:
    """Read and check an ``ear.toml``.

    Raises:
        ValueError: the file is missing, no TOML, or does not fit; the message says where.
    """
    try:
        return EarConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"no settings of an ear at {path} ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError(f"{path}: {wrong}") from None


def write_ear_config(path: Path, config: EarConfig) -> None:
    """Write an ``ear.toml``. Raises ValueError where it cannot be written."""
    lines = list[str]()
    for section, values in config.model_dump().items():
        lines += [f"[{section}]", *(f"{key} = {value!r}" for key, value in values.items()), ""]
    try:
        path.write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write {path} ({error.strerror}): give a folder that can be written") from None
