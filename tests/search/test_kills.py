"""A writer that is killed loses nothing that was committed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "index_kill_rounds.py"


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    options = ["--rounds", "4", "--seconds", "60", "--folder", str(tmp_path / "rounds")]
    options += ["--out", str(tmp_path / "rounds.json")]
    (tmp_path / "rounds").mkdir()
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert result["lost"] == 0
    assert result["killed"] > 0
