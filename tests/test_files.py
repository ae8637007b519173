import errno
import shutil
from types import SimpleNamespace

import pytest

from polyvec.errors import BadInput
from polyvec.files import read_json, replace_folder, saying_when_full, write_json, write_text


def test_what_is_written_is_read(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"naïve": [1, 2.5]})
    assert read_json(tmp_path / "deep" / "a.json") == {"naïve": [1, 2.5]}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{\n1", "a.json:2: not JSON"), (b"\xff", "not UTF-8"), (None, "no such file")],
)
def test_bad_json_is_named_with_its_place(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        read_json(tmp_path / "a.json")


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="no space is left"), saying_when_full(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_library_that_hides_a_full_disk_is_seen_through(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(BadInput, match="no space is left"), saying_when_full(tmp_path):
        raise RuntimeError("PytorchStreamWriter failed writing file")


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="other"), saying_when_full(tmp_path):
        raise RuntimeError("other")


def test_a_folder_takes_the_place_of_another(tmp_path):
    for name in ("made", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_folder(tmp_path / "made", tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["made"]
    (tmp_path / "new").mkdir()
    replace_folder(tmp_path / "new", tmp_path / "nothing")
    assert (tmp_path / "nothing").is_dir()
