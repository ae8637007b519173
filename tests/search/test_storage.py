"""An index in object storage, on a server of S3 in this process; and older versions."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyvec.errors import BadInput
from polyvec.search.index import Index
from polyvec.search.served import is_index, name_of
from polyvec.search.storage import place_of


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
    yield address
    server.stop()


@pytest.fixture
def url(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    settings = {"ENDPOINT": store, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    keys = {"ACCESS_KEY_ID": "somebody", "SECRET_ACCESS_KEY": "something"}
    for name, value in (settings | keys).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return f"s3://bucket/{tmp_path.name}/docs.index"


def test_object_storage_works_as_a_disk_does(
    url: str, docs: Path, model: Path, tmp_path: Path
) -> None:
    on_disk = Index.build(tmp_path / "index", str(docs), model=model)
    index = Index.build(url, str(docs), model=model)
    assert index.rows() == on_disk.rows()
    assert Index.open(url).search("water boat") == on_disk.search("water boat")
    (docs / "new.md").write_text("# New\n\nA new garden.\n")
    assert index.add(str(docs)).added == 1
    assert index.delete(["tea.md"]) == 2
    info = Index.open(url).info()
    assert (info["path"], info["passages"]) == (url, 4)
    assert info["bytes"] > 0
    again = Index.build(url, str(docs), approximate=True).changes
    assert again is not None
    assert (again.added, again.unchanged) == (1, 3)
    assert is_index(url)
    assert name_of(url) == "docs.index"


def test_a_second_writer_is_noticed(url: str, docs: Path, model: Path) -> None:
    index = Index.build(url, str(docs), model=model)
    other = Index.open(url)
    (docs / "new.md").write_text("# New\n\nA new garden.\n")
    encode = index._encode

    def slowly(lists):
        for found in encode(lists):
            other.delete(["tea.md"])
            yield found

    index._encode = slowly  # type: ignore[method-assign]
    with pytest.raises(BadInput, match="another writer has committed to this index meanwhile"):
        index.add(str(docs))
    del index._encode
    assert index.add(str(docs)).added == 2
    assert index.info()["documents"] == 4


def test_what_two_writers_put_in_at_once_is_put_right(url: str, docs: Path, model: Path) -> None:
    index = Index.build(url, str(docs), model=model)
    before = index.rows()
    table = index._table._table
    table.add(table.search().where("document = 'tea.md'").to_arrow().select(table.schema.names))
    assert len(index.rows()) == len(before) + 2
    index.add(str(docs))
    assert index.rows() == before


def test_what_the_store_answers_is_one_sentence(url: str, docs: Path, model: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be used \(The specified bucket does not exist\)"):
        Index.build("s3://elsewhere/docs.index", str(docs), model=model)
    with pytest.raises(BadInput, match="no index there"):
        Index.open(url)


def test_urls(tmp_path: Path, docs: Path, model: Path) -> None:
    assert place_of("gs://bucket/a/") == "gs://bucket/a"
    with pytest.raises(BadInput, match=r"begins with s3://, gs://, az:// or file://"):
        place_of("ftp://host/index")
    Index.build(f"file://{tmp_path}/index", str(docs), model=model)
    assert Index.open(tmp_path / "index").info()["passages"] == 5


def test_older_versions(tmp_path: Path, docs: Path, model: Path) -> None:
    index = Index.build(tmp_path / "index", str(docs), model=model)
    version, held = index.info()["version"], index.rows()
    index.delete(["tea.md"])
    old = Index.open(index.path, version=version)
    assert old.rows() == held
    assert [hit.document for hit in old.search("boil", mode="words")] == ["tea.md"]
    assert {hit.document for hit in old.search("green water", mode="vectors")} >= {"tea.md"}
    assert old.info()["version"] == version
    with pytest.raises(BadInput, match=rf"version {version} is older and can only be read"):
        old.delete(["tea.md"])
    with pytest.raises(BadInput, match=r"version 99 is not kept; there are 1 to \d+$"):
        Index.open(index.path, version=99)
    assert index.search("boil", mode="words") == []
    with pytest.raises(BadInput, match="the newest version is open"):
        index.restore()
    old.restore()
    assert index.rows() == held
    assert old.delete(["tea.md"]) == 2
