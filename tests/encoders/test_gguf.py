from __future__ import annotations

import pytest

from polyvec.encoders.gguf import dequantised
from polyvec.errors import BadInput


def test_what_was_converted_is_not_read_again(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert dequantised(tmp_path / "absent.gguf", tmp_path) == tmp_path


def test_a_broken_file_leaves_nothing_behind(tmp_path):
    pytest.importorskip("gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(BadInput, match="cannot be read as a GGUF model"):
        dequantised(broken, tmp_path / "cache" / "model")
    assert not list((tmp_path / "cache").iterdir())
