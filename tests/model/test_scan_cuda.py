"""The CUDA form of the scan against the CPU's, on a CPU: Triton's interpreter runs the same kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHECK = """
import itertools, torch
from melnet_music.model.scan import scan
from melnet_music.model.scan_cuda import CudaScan

for shape, dim, reverse in itertools.product([(2, 7, 3, 5), (1, 1, 2, 70), (3, 4, 9, 1)], [1, 2], [False, True]):
    generator = torch.Generator().manual_seed(1)
    z = torch.rand(shape, generator=generator)
    candidate = torch.randn(shape, generator=generator)
    initial = torch.randn(shape[:dim] + shape[dim + 1 :], generator=generator)
    pull = torch.randn(shape, generator=generator)
    results = []
    for form in (scan, CudaScan.apply):
        given = [tensor.clone().requires_grad_() for tensor in (z, candidate, initial)]
        states = form(*given, dim, reverse)
        (states * pull).sum().backward()
        results.append([states.detach(), *(tensor.grad for tensor in given)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    half = CudaScan.apply(z.bfloat16(), candidate.bfloat16(), initial, dim, reverse)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), results[0][0], rtol=0.03, atol=0.03)
print("equal")
"""


def test_the_triton_kernels_are_the_recurrence() -> None:
    pytest.importorskip("triton", reason="comes with torch's CUDA builds")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECK], capture_output=True, text=True, timeout=300, env=environment
    )
    assert result.stdout.strip() == "equal", result.stderr
