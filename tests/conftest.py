from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from narrow_piano import write_narrow_piano

# Tiny models: a second thread costs more than it brings.
torch.set_num_threads(1)

# An example takes as long as the machine is busy: none is wrong for it.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def narrow_piano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preset that sounds and samples as the shipped piano does, with a small random model."""
    return write_narrow_piano(tmp_path_factory.mktemp("narrow"))
