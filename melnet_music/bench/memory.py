"""The most memory that this process has held at once."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class _Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS, of which the peak of the working set is wanted."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("peak_working_set", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    def peak_memory_mib() -> float:
        """Resident: what it takes from the machine's memory."""
        kernel, counters = ctypes.WinDLL("kernel32", use_last_error=True), _Counters()
        counters.size = ctypes.sizeof(counters)
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        kernel.K32GetProcessMemoryInfo.argtypes = (wintypes.HANDLE, ctypes.POINTER(_Counters), wintypes.DWORD)
        if not kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), counters, counters.size):
            raise ctypes.WinError(ctypes.get_last_error())
        return float(counters.peak_working_set) / 2**20

else:
    import resource

    def peak_memory_mib() -> float:
        """Resident: what it takes from the machine's memory."""
        status = Path("/proc/self/status")
        if status.exists():  # getrusage would count the process that this one was forked from, too
            (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
            return int(line.split()[1]) / 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
