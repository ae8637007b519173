from __future__ import annotations

import errno
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import TinyModel

from polyvec import files
from polyvec.encoders import encoding, vector_files
from polyvec.encoders.encoding import encode_file
from polyvec.encoders.vector_files import Parts
from polyvec.errors import BadInput

TEXTS = [f"the cat number {n} sat on a table" for n in range(10)]


@pytest.fixture
def lines(tmp_path: Path) -> str:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return str(path)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_PART", 3)


def vectors_of(path: Path) -> np.ndarray:
    column = pq.read_table(path)["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def test_parquet(lines: str, tiny_model: TinyModel, tiny_model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.parquet"
    encode_file(tiny_model_path, lines, out, device="cpu")
    table = pq.read_table(out)
    assert table.column_names == ["id", "text", "vector"]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 32)
    assert table["id"].to_pylist() == [str(n) for n in range(1, 11)]
    assert table["text"].to_pylist() == TEXTS
    np.testing.assert_allclose(vectors_of(out), tiny_model().encode(TEXTS), atol=1e-5)
    assert [path.name for path in out.parent.iterdir()] == ["out.parquet"]


def test_npy(lines: str, tiny_model: TinyModel, tiny_model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    encode_file(tiny_model_path, lines, out, device="cpu", normalize=True)
    matrix = np.load(out)
    assert matrix.dtype == np.float32
    expected = tiny_model().encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    ids = json.loads((tmp_path / "out.ids.json").read_text())["ids"]
    assert ids == [str(n) for n in range(1, 11)]
    assert {path.name for path in tmp_path.iterdir()} == {"out.npy", "out.ids.json", "texts.txt"}


def test_rows_of_a_table(
    tiny_model_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.jsonl"
    rows = [{"_id": "x", "q": "a cat"}, {"_id": "y", "q": " "}, {"_id": "z", "q": "a cat"}]
    table.write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out.parquet"
    encode_file(tiny_model_path, str(table), out, text_column="q", device="cpu")
    assert pq.read_table(out)["id"].to_pylist() == ["x", "z"]
    assert (vectors_of(out)[0] == vectors_of(out)[1]).all()
    assert "1 left out" in capsys.readouterr().err
    with pytest.raises(BadInput, match="no column 'nope'"):
        encode_file(tiny_model_path, str(table), out, text_column="nope", device="cpu")


def test_documents_of_a_folder(tiny_model_path: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Cats\n\nA cat sat on the table.\n")
    (docs / "b.md").write_text("# Dogs\n\nA dog ran to the river.\n")
    out = tmp_path / "out.parquet"
    encode_file(tiny_model_path, str(docs), out, device="cpu")
    assert len(pq.read_table(out)) == 2


class Killed(BaseException):
    """Nothing catches it."""


def die_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Parts.save

    def dying(self: Parts, number: int, vectors: np.ndarray) -> None:
        if number == parts:
            raise Killed
        save(self, number, vectors)

    monkeypatch.setattr(Parts, "save", dying)


def encode_until_killed(model: Path, source: str, out: Path, parts: int = 2) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_after(parts, patch)
        with pytest.raises(Killed):
            encode_file(model, source, out, device="cpu")


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_continues_after_a_kill(
    suffix: str,
    lines: str,
    tiny_model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    encode_file(tiny_model_path, lines, whole, device="cpu")
    encode_until_killed(tiny_model_path, lines, out)
    assert not out.exists()
    (tmp_path / f"out{suffix}.parts" / ".000002.npy.part").write_bytes(b"half of it")
    made: list[int] = []
    save = Parts.save
    monkeypatch.setattr(
        Parts, "save", lambda self, number, v: (made.append(number), save(self, number, v))[1]
    )
    encode_file(tiny_model_path, lines, out, device="cpu")
    assert made == [2, 3]
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / f"out{suffix}.parts").exists()


def test_continues_after_a_kill_while_joining(
    lines: str, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.npy"

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "_write_npy", die)
        with pytest.raises(Killed):
            encode_file(tiny_model_path, lines, out, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "save", die)  # nothing is left to be encoded
        encode_file(tiny_model_path, lines, out, device="cpu")
    assert np.load(out).shape == (10, 32)


def test_a_finished_file_is_left_alone(
    lines: str, tiny_model_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out.parquet", "out.npy"):
        encode_file(tiny_model_path, lines, tmp_path / name, device="cpu")
        before = (tmp_path / name).stat().st_mtime_ns
        encode_file(tiny_model_path, lines, tmp_path / name, device="cpu")
        assert (tmp_path / name).stat().st_mtime_ns == before
        assert "holds these vectors already" in capsys.readouterr().err
        encode_file(tiny_model_path, lines, tmp_path / name, device="cpu", restart=True)
        assert (tmp_path / name).stat().st_mtime_ns > before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_another_job_needs_restart(
    finished: bool,
    suffix: str,
    lines: str,
    tiny_model: TinyModel,
    tiny_model_path: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / f"out{suffix}"
    if finished:
        encode_file(tiny_model_path, lines, out, device="cpu")
    else:
        encode_until_killed(tiny_model_path, lines, out)
    with pytest.raises(BadInput, match=r"another normalize; .* --restart"):
        encode_file(tiny_model_path, lines, out, device="cpu", normalize=True)
    model = tiny_model()
    model.prompts = {"query": "find "}
    model.save_pretrained(str(tmp_path / "other"), create_model_card=False)
    with pytest.raises(BadInput, match="another model; "):
        encode_file(tmp_path / "other", lines, out, device="cpu")
    Path(lines).write_text("one more\n")
    with pytest.raises(BadInput, match="another input; "):
        encode_file(tiny_model_path, lines, out, device="cpu")
    encode_file(tiny_model_path, lines, out, device="cpu", restart=True)
    found = np.load(out) if suffix == ".npy" else vectors_of(out)
    assert found.shape == (1, 32)


def test_a_file_of_somebody_else_is_kept(lines: str, tiny_model_path: Path, tmp_path: Path) -> None:
    for name in ("mine.parquet", "mine.npy"):
        (tmp_path / name).write_bytes(b"precious")
        with pytest.raises(BadInput, match="not from this command; --restart replaces it"):
            encode_file(tiny_model_path, lines, tmp_path / name, device="cpu")
        assert (tmp_path / name).read_bytes() == b"precious"


def test_a_full_disk_loses_nothing(
    lines: str, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    write = files.write_bytes

    def full(path: Path, content: bytes) -> None:
        if path.name == "000002.npy":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "write_bytes", full)
        with pytest.raises(BadInput, match="No space left on device; the same command continues"):
            encode_file(tiny_model_path, lines, out, device="cpu")
    assert len(list((tmp_path / "out.parquet.parts").glob("*.npy"))) == 2
    encode_file(tiny_model_path, lines, out, device="cpu")
    assert len(pq.read_table(out)) == 10


def test_a_full_disk_while_joining_loses_nothing(
    lines: str, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"

    def full(path: Path, *_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "_write_parquet", full)
        with pytest.raises(BadInput, match="No space left on device"):
            encode_file(tiny_model_path, lines, out, device="cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"texts.txt", "out.parquet.parts"}
    encode_file(tiny_model_path, lines, out, device="cpu")
    assert len(pq.read_table(out)) == 10


def test_a_damaged_part_is_named(lines: str, tiny_model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    encode_until_killed(tiny_model_path, lines, out)
    (tmp_path / "out.npy.parts" / "000001.npy").write_bytes(b"")
    with pytest.raises(BadInput, match=r"000001\.npy: damaged"):
        encode_file(tiny_model_path, lines, out, device="cpu")


def test_output_that_cannot_be_written(lines: str, tiny_model_path: Path, tmp_path: Path) -> None:
    for out in (Path(lines) / "out.npy", Path("/proc/out.npy")):
        with pytest.raises(BadInput) as error:
            encode_file(tiny_model_path, lines, out, device="cpu")
        assert "the same command continues once that is mended" in str(error.value)


@pytest.mark.parametrize("name", ["out", "out.csv", "out.pt", "out.parquet.gz"])
def test_an_unknown_suffix_is_refused_first(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"give F\.parquet, F\.npy or F\.lance"):
        encode_file("no-such-model", "no-such-input", tmp_path / name)


def test_a_cluster_that_is_not_there_is_refused_first(lines: str, tmp_path: Path) -> None:
    with socket.socket() as deserted:  # bound, so that nobody else takes it, and not listening
        deserted.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deserted.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"no Ray cluster at {address} .*refused"):
            encode_file("minilm", lines, tmp_path / "a.lance", engine="ray", address=address)


def test_input_without_text(tiny_model_path: Path, tmp_path: Path) -> None:
    empty, blank = tmp_path / "empty.txt", tmp_path / "blank.txt"
    empty.touch()
    blank.write_text("\n \n\n")
    for source in (empty, blank):
        with pytest.raises(BadInput, match=f"{source.name}: there is no text in it"):
            encode_file(tiny_model_path, str(source), tmp_path / "out.npy")
    with pytest.raises(BadInput, match="there is no such file or folder"):
        encode_file(tiny_model_path, str(tmp_path / "none.txt"), tmp_path / "out.npy")


KILLED = """
import os, signal, sys
from polyvec.encoders import encoding
from polyvec.encoders.vector_files import Parts
save = Parts.save
def dying(self, number, vectors):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, number, vectors)
if sys.argv[4] == "die":
    Parts.save = dying
encoding._PART = 3
encoding.encode_file(sys.argv[1], sys.argv[2], sys.argv[3], device="cpu")
"""


@pytest.mark.slow
def test_continues_after_kill_9(lines: str, tiny_model_path: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    command = [sys.executable, "-c", KILLED, str(tiny_model_path), lines, str(out)]
    assert subprocess.run([*command, "die"], check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    subprocess.run([*command, "live"], check=True)
    encode_file(tiny_model_path, lines, whole, device="cpu")
    assert out.read_bytes() == whole.read_bytes()
