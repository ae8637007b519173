"""The machine that something was measured on, in words."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name as its maker gives it; its kind where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
