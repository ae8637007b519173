import gzip

import pytest

from polyvec.data.benchmarks.files import data_root


@pytest.fixture
def put(tmp_path):
    """Writes benchmark files below ``tmp_path``, which is the data's root."""

    def put(name: str, content: str | bytes):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return put


@pytest.fixture(scope="session")
def data():
    """The folder with the real files."""
    root = data_root()
    if root is None:
        pytest.skip("POLYVEC_DATA names no data folder")
    return root
