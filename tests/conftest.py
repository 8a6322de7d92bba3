from pathlib import Path

import pytest
import torch
from narrow_piano import write_narrow_piano

# Tiny models: a second thread costs more than it brings.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def narrow_piano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preset that sounds and samples as the shipped piano does, with a small random model."""
    return write_narrow_piano(tmp_path_factory.mktemp("narrow"))
