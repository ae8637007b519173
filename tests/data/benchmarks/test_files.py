import gzip
import hashlib
import io
import tarfile
import zipfile

import pytest

from polyvec.data.benchmarks.files import (
    MissingData,
    content,
    data_root,
    fingerprint,
    members,
    stored,
)
from polyvec.errors import BadInput


def anything(name):
    return True


@pytest.fixture
def tar(tmp_path):
    def tar(entries, name="a.tar.gz"):
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for entry, inside in entries:
                info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
                info.size = len(inside)
                archive.addfile(info, io.BytesIO(inside))
        return path

    return tar


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inside in entries:
            archive.writestr(name, inside)
    return path


def test_the_environment_names_the_root(monkeypatch, tmp_path):
    monkeypatch.delenv("POLYVEC_DATA", raising=False)
    assert data_root() is None
    monkeypatch.setenv("POLYVEC_DATA", "")
    assert data_root() is None
    monkeypatch.setenv("POLYVEC_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.setenv("POLYVEC_DATA", str(tmp_path / "no"))
    with pytest.raises(BadInput, match=r"POLYVEC_DATA: .*no is not a folder; name the one"):
        data_root()


def test_a_file_is_found_compressed_or_not(put, tmp_path):
    with pytest.raises(MissingData, match=r"there is no a/b\.txt or a/b\.txt\.gz in it; set POLY"):
        stored(tmp_path, "a/b.txt")
    packed = put("a/b.txt.gz", "x")
    assert stored(tmp_path, "a/b.txt") == packed
    plain = put("a/b.txt", "x")
    assert stored(tmp_path, "a/b.txt") == plain


def test_a_fingerprint_is_of_what_is_inside_gzip_but_of_an_archive_itself(put, tar):
    digest = hashlib.sha256(b"words").hexdigest()
    assert fingerprint(put("a.txt", "words")) == fingerprint(put("a.txt.gz", "words")) == digest
    archive = tar([("a", b"words")])
    assert fingerprint(archive) == hashlib.sha256(archive.read_bytes()).hexdigest()


@pytest.mark.parametrize("read", [fingerprint, content])
def test_damaged_and_missing_files_are_named(put, tmp_path, read):
    path = put("a.txt.gz", bytes(range(256)) * 100)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"a\.txt\.gz: the compressed file is cut off or damaged"):
        read(path)
    with pytest.raises(BadInput, match=r"b\.txt: there is no such file"):
        read(tmp_path / "b.txt")
    with pytest.raises(BadInput, match="cannot be opened: Is a directory"):
        read(tmp_path)


def test_content_is_without_gzip(put):
    assert content(put("a.txt", "words")) == content(put("a.txt.gz", "words")) == b"words"


def test_members_come_sorted_and_as_wanted(tar, tmp_path):
    entries = [("b/2.txt", b"two"), ("a/1.txt", b"one"), ("a/1.md", b"no")]
    wanted = [("a/1.txt", b"one"), ("b/2.txt", b"two")]
    folder = tarfile.TarInfo("b")
    folder.type = tarfile.DIRTYPE
    for path in (
        tar([(folder, b""), *entries]),
        tar(entries, "plain.tar"),
        zipped(tmp_path / "a.zip", [("b/", b""), *entries]),
    ):
        assert members(path, lambda name: name.endswith(".txt")) == wanted
    assert {p.name for p in tmp_path.iterdir()} == {"a.tar.gz", "plain.tar", "a.zip"}


@pytest.mark.parametrize("name", ["../up", "/root", "a/../../up", "a\\b"])
def test_names_that_lead_out_are_refused(tar, tmp_path, name):
    with pytest.raises(BadInput, match="leads out of the archive"):
        members(tar([(name, b"x")]), anything)
    with pytest.raises(BadInput, match="leads out of the archive"):
        members(zipped(tmp_path / "a.zip", [(name, b"x")]), anything)


def test_links_and_doubles_are_refused(tar):
    link = tarfile.TarInfo("passwd")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(BadInput, match=r"'passwd' is a link or device, not a file"):
        members(tar([(link, b"")]), anything)
    with pytest.raises(BadInput, match="'a' is there a second time"):
        members(tar([("a", b"1"), ("a", b"2")]), anything)


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"x")])
    packed = bytearray(path.read_bytes())
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(packed)
    with pytest.raises(BadInput, match="member 'a' is encrypted"):
        members(path, anything)


def test_an_unknown_packing_is_no_damage(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"x")])
    packed = bytearray(path.read_bytes())
    packed[8] = packed[packed.index(b"PK\x01\x02") + 10] = 99  # the method, in both headers
    path.write_bytes(packed)
    with pytest.raises(BadInput, match=r"a\.zip: packed by a method .* pack it again with deflate"):
        members(path, anything)


def test_damaged_archives_are_named(tar, tmp_path):
    path = tar([(f"{number}", bytes(range(256)) * 9) for number in range(50)])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadInput, match=r"a\.tar\.gz: (the compressed file is cut|not a whole)"):
        members(path, anything)
    for name in ("b.zip", "b.tar.gz"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(BadInput, match=f"{name}: not a whole archive"):
            members(tmp_path / name, anything)


def test_the_real_files_have_the_fingerprints_of_their_provenance(data):
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in (data / "PROVENANCE.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| file |")
    ]
    assert len(rows) > 100
    for _, name, _, _, size, digits, _, _ in rows:
        path = data / name
        # Some files were compressed where they come from, and are listed as they are.
        as_it_is = int(size.replace(",", "")) == path.stat().st_size
        found = hashlib.sha256(path.read_bytes()).hexdigest() if as_it_is else fingerprint(path)
        assert found[:16] == digits, name
        if name.endswith((".tar.gz", ".tar", ".zip", ".txt", ".json")):
            assert fingerprint(path) == found, name


def test_a_gzip_in_the_middle_of_a_name_is_no_gzip(tmp_path):
    path = tmp_path / "a.gz.txt"
    path.write_bytes(gzip.compress(b"words"))
    assert fingerprint(path) == hashlib.sha256(path.read_bytes()).hexdigest()
