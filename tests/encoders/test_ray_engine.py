"""Encoding on Ray: the same vectors, also when a worker is killed, and nothing twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from polyvec.encoders import encoding, vector_files
from polyvec.encoders.encoding import encode_file
from polyvec.encoders.loading import model_fingerprint
from polyvec.encoders.ray_engine import RayJob, check_engine, encode_lists_on_ray
from polyvec.errors import BadInput

ray = pytest.importorskip("ray")
lance = pytest.importorskip("lance")

TEXTS = [f"the cat number {n} sat on a table" for n in range(20)]


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    options = {"include_dashboard": False, "log_to_driver": False}
    ray.init("local", num_cpus=2, **options)
    yield
    ray.shutdown()


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(encoding, "_PART", 4)
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return str(path)


def rows_of(out: Path) -> dict[str, list[float]]:
    table = lance.dataset(str(out)).to_table()
    assert table.column_names == ["id", "text", "vector"]
    assert table["text"].to_pylist() == TEXTS
    return dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))


def test_a_killed_worker_changes_nothing_and_a_finished_part_is_kept(
    two_workers: None,
    lines: str,
    tiny_model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local, out, mark = tmp_path / "local.lance", tmp_path / "ray.lance", tmp_path / "died"
    encode_file(tiny_model_path, lines, local, device="cpu")
    content_of = vector_files.content_of

    def dying_once(out, part, vectors, quantiser):
        with open(tmp_path / f"worked-{part.number}", "a") as log:
            log.write("x")
        if part.number == 2 and not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return content_of(out, part, vectors, quantiser)

    with monkeypatch.context() as patch:
        patch.setattr(encoding, "content_of", dying_once)

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(encoding, "join_parts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encode_file(tiny_model_path, lines, out, device="cpu", engine="ray")
        assert mark.exists()
        assert len(list(tmp_path.glob("worked-*"))) == 5
        (tmp_path / "ray.lance.parts" / "000003.json").unlink()
        for log in tmp_path.glob("worked-*"):
            log.unlink()
    monkeypatch.setattr(encoding, "content_of", dying_once)
    encode_file(tiny_model_path, lines, out, device="cpu", engine="ray")
    assert [log.name for log in tmp_path.glob("worked-*")] == ["worked-3"]
    found, expected = rows_of(out), rows_of(local)
    assert found.keys() == expected.keys()
    for row_id, vector in expected.items():
        np.testing.assert_allclose(found[row_id], vector, atol=1e-6)
    assert not (tmp_path / "ray.lance.parts").exists()


def test_another_model_on_a_worker_is_refused(two_workers: None, tiny_model_path: Path) -> None:
    job = RayJob(str(tiny_model_path), "0" * 64, "cpu")
    with pytest.raises(BadInput, match=r"a worker of Ray: the model .* is another one there"):
        list(encode_lists_on_ray(job, [["a"]]))


def test_bad_engines(lines: str, tiny_model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="engine 'spark'"):
        check_engine("spark", None)
    with pytest.raises(BadInput, match="so give --engine ray as well"):
        encode_file(tiny_model_path, lines, tmp_path / "a.lance", address="127.0.0.1:6379")
    with pytest.raises(BadInput, match=r"write a Lance table; give F\.lance"):
        encode_file(tiny_model_path, lines, tmp_path / "a.npy", engine="ray")
    job = RayJob("", model_fingerprint(str(tiny_model_path)))
    with pytest.raises(BadInput, match="workers open the model by its name"):
        list(encode_lists_on_ray(job, [["a"]]))
