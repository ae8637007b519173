"""Sources: folders, files, globs, names of data sets; what is skipped, and in which words."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from polyvec.data import beir, file_reading, hub
from polyvec.data.documents import Document, Link, Reading, Section, Skipped
from polyvec.data.sources import read_documents
from polyvec.errors import BadInput


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def ids(reading: Reading) -> list[str]:
    return [document.id for document in reading.documents]


def skipped(reading: Reading) -> dict[str, str]:
    return {entry.where: entry.reason for entry in reading.skipped}


# Folders


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "b.md": "# B\n\ntext of b",
            "a/z.html": "<h1>Z</h1><p>text of z",
            "a/mod.py": '"""Mod.\n\nText of mod."""',
            "a.rst": "A\n=\n\ntext of a",
            "README": "text of the readme",
            "c.rst.txt": "C\n=\n\ntext of c",
            "t.csv": "text\ntext of the first row\ntext of the second row\n",
        },
    )
    reading = read_documents(str(tmp_path))
    assert ids(reading)[:6] == ["README", "a/mod.py", "a/z.html", "a.rst", "b.md", "c.rst.txt"]
    assert [d.title for d in reading.documents][1:6] == ["Mod.", "Z", "A", "B", "C"]
    assert all(document.group == document.id for document in reading.documents[:6])
    assert [d.id.startswith("t.csv") for d in reading.documents[6:]] == [True, True]
    assert reading == read_documents(str(tmp_path))


def test_everything_not_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "LARGEST_FILE", 300)
    monkeypatch.setattr(file_reading, "LONGEST_LINE", 100)
    write(
        tmp_path,
        {
            "good.txt": "Good text.",
            "empty.txt": "",
            "blank.md": " \n\n",
            "binary.txt": b"a\0b",
            "coded.txt": bytes(range(128, 220)),
            "broken.py": "def f(:",
            "large.txt": "many words\n" * 50,
            "wide.txt": "many words " * 15,
            "min.js": "a=1;" * 90,
            "one.xyz": "?",
            "a.png": b"?",
            "b.png": b"?",
            ".hidden.md": "hidden",
            ".git/config.md": "hidden",
            "x/__pycache__/a.py": "hidden",
            "y/__pycache__/a.py": "hidden",
        },
    )
    reading = read_documents(str(tmp_path))
    assert ids(reading) == ["good.txt"]
    assert skipped(reading) == {
        ".git/": "1 folder of this name passed over",
        ".hidden.md": "1 file of this name passed over",
        "__pycache__/": "2 folders of this name passed over",
        "*.png": "2 files of unknown format",
        "one.xyz": "unknown format",
        "binary.txt": "binary, not text",
        "blank.md": "no text in it",
        "broken.py": "not Python source: invalid syntax, line 1",
        "coded.txt": "not text in a known encoding",
        "empty.txt": "0 bytes",
        "large.txt": "larger than 0 MB",
        "min.js": "larger than 0 MB",
        "wide.txt": "a line longer than 0 MB",
    }


def test_minified_code_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"good.txt": "Good text.", "all.js": "function f(){return 1};" * 90})
    assert skipped(read_documents(str(tmp_path))) == {"all.js": "minified, not written by people"}


def test_a_reader_that_fails_costs_only_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(content: bytes, id: str) -> Document:
        raise KeyError("inside")

    monkeypatch.setattr("polyvec.data.markdown.read_markdown", fail)
    write(tmp_path, {"good.txt": "Good text.", "bad.md": "text"})
    reading = read_documents(str(tmp_path))
    assert skipped(reading) == {"bad.md": "broken file (KeyError: 'inside')"}


def test_sphinx_helpers_are_passed_over(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "objects.inv": "?",
            "index.html": "<p>text",
            "genindex-A.html": "<p>index",
            "search.html": "<p>search",
            "_sources/index.rst.txt": "text",
            "_static/a.js": "x",
        },
    )
    assert ids(read_documents(str(tmp_path))) == ["index.html"]


def test_links_to_folders_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus", {"a/one.txt": "one", "a/b/two.txt": "two"})
    write(tmp_path / "elsewhere", {"three.txt": "three"})
    (corpus / "a" / "b" / "up").symlink_to(corpus / "a")
    (corpus / "out").symlink_to(tmp_path)
    (corpus / "linked").symlink_to(tmp_path / "elsewhere")
    (corpus / "broken.txt").symlink_to(tmp_path / "gone.txt")
    reading = read_documents(str(corpus))
    assert ids(reading) == ["a/b/two.txt", "a/one.txt", "linked/three.txt"]
    assert skipped(reading) == {
        "a/b/up": "a link back to a folder above it",
        "out": "a link back to a folder above it",
        "broken.txt": "cannot be opened: No such file or directory",
    }


def test_pipes_and_odd_names(tmp_path: Path) -> None:
    write(tmp_path, {"good.txt": "Good text."})
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))).write_text("Odd name.")
    os.mkfifo(tmp_path / "pipe.txt")
    reading = read_documents(str(tmp_path))
    assert ids(reading) == ["caf\N{REPLACEMENT CHARACTER}.txt", "good.txt"]
    assert skipped(reading) == {"pipe.txt": "neither a file nor a folder"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_opened_is_listed(tmp_path: Path) -> None:
    write(tmp_path, {"good.txt": "Good text.", "secret.txt": "x", "closed/a.txt": "x"})
    (tmp_path / "secret.txt").chmod(0)
    (tmp_path / "closed").chmod(0)
    assert skipped(read_documents(str(tmp_path))) == {
        "closed": "cannot be opened: Permission denied",
        "secret.txt": "cannot be opened: Permission denied",
    }


def test_of_the_same_text_the_first_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "Same  text.", "b.txt": "Other text.", "c.md": "Same\ntext."})
    reading = read_documents(str(tmp_path))
    assert ids(reading) == ["a.txt", "b.txt"]
    assert reading.skipped == [Skipped("c.md", "same text as a.txt")]


def test_many_files_are_read_by_several_processes_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"{n:02}.txt": f"Text {n}." for n in range(40)})
    alone = read_documents(str(tmp_path))
    monkeypatch.setattr(file_reading, "_POOL_FROM", 1)
    monkeypatch.setattr(file_reading, "_BATCH", 10)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    assert read_documents(str(tmp_path)) == alone


def test_a_script_without_a_main_guard_may_read_in_parallel(tmp_path: Path) -> None:
    write(tmp_path, {f"{n:02}.txt": f"Text {n}." for n in range(9)})
    script = f"""
from polyvec.data import file_reading
from polyvec.data.sources import read_documents
file_reading._POOL_FROM, file_reading._BATCH = 1, 20
print(len(read_documents({str(tmp_path)!r}).documents))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "9\n"


def test_a_folder_in_the_format_of_beir_is_read_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = (Section(paragraphs=("Text.",)),)
    corpus = Reading([Document("1", "T", "1", same), Document("2", "T", "2", same)])
    monkeypatch.setattr(beir, "is_beir_folder", lambda path: path == tmp_path)
    monkeypatch.setattr(beir, "read_beir_corpus", lambda path: corpus)
    assert read_documents(str(tmp_path)) == corpus


# Files and globs


def test_a_single_file(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "# A\n\ntext"})
    assert ids(read_documents(str(tmp_path / "a.md"))) == ["a.md"]


def test_a_compressed_table(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl.gz": gzip.compress(b'{"text": "Some text."}\n')})
    assert len(read_documents(str(tmp_path)).documents) == 1


def test_a_glob(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.md": "a", "d/e/b.md": "b", "d/c.txt": "c"})
    assert ids(read_documents(f"{tmp_path}/d/**/*.md")) == ["a.md", "e/b.md"]
    assert ids(read_documents(f"{tmp_path}/d/[ac].*")) == ["a.md", "c.txt"]


def test_a_name_that_is_no_path_is_a_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Reading([Document("1", "T", "1", (Section(paragraphs=("Text.",)),))])
    asked = []

    def read(name: str, text_column: str | None) -> Reading:
        asked.append((name, text_column))
        return found

    monkeypatch.setattr(hub, "read_hub_dataset", read)
    assert read_documents("owner/name.v1", text_column="body") == found
    assert asked == [("owner/name.v1", "body")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./gone", "'./gone': there is no such file or folder; give a folder, a file"),
        ("gone.md", "'gone.md': there is no such file or folder"),
        ("a/b/c", "'a/b/c': there is no such file or folder"),
        ("", "'': there is no such file or folder"),
        ("*.gone", "*.gone: this pattern matches nothing"),
        ("empty", "empty: nothing in it; give a folder with .md"),
        ("folders/*", "folders/*: this pattern matches folders only; end it with /**"),
        ("odd.xyz", "odd.xyz: unknown format; these can be read: .bash "),
        ("bad", "bad: no document could be read (a.txt: 0 bytes; b.txt: binary, not text)"),
        ("many", "many: no document could be read (0.md: 0 bytes; 1.md: 0 bytes; 2.md: 0 bytes an"),
    ],
)
def test_bad_sources(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"odd.xyz": "?", "bad/a.txt": "", "bad/b.txt": b"\0", "folders/a/b.txt": "b"})
    write(tmp_path / "many", {f"{n}.md": "" for n in range(5)})
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as error:
        read_documents(source)
    assert str(error.value).startswith(message)


def test_labels_of_restructuredtext(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.rst": "A\n=\n\n:ref:`to the part <My_Part>` and :doc:`b <sub/b>`.\n",
            "sub/b.rst": "B\n=\n\nText.\n\n.. _my_part:\n\nPart\n----\n\nMore.\n",
        },
    )
    document = read_documents(str(tmp_path)).documents[0]
    assert document.sections[0].links == (
        Link("to the part", "sub/b.rst#my-part"),
        Link("b", "sub/b.rst"),
    )
