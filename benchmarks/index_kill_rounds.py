"""Whether an index loses anything when its writer is killed, at a random moment of every round.

Each round changes some documents and starts a process that adds them, in commits of a few passages; it says what is
committed once the call has returned. It is killed by SIGKILL, and another process reads the index: each document that
was said to be committed is there as it was said, and every document is whole, in its old version or in its new one. At
the end the same command finishes what was killed, and the index equals one that nothing happened to. One round in
twenty is not killed, and some end before they are: of 1,200 rounds about a thousand are killed.

Processes are forked from one that never opens an index, so that a round costs no imports.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from polyvec.console import console
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.search import changes
from polyvec.search.index import Index
from polyvec.search.lance_table import PassageTable

WORDS = [
    "river",
    "road",
    "sea",
    "ship",
    "star",
    "stone",
    "storm",
    "street",
    "sun",
    "village",
    "water",
]
SECTIONS = 3
COMMIT = 6
"""Passages between two commits: two documents."""
MOST = 40
"""Documents, at the end."""
TIMED = 20
"""One of so many rounds is not killed."""


def main() -> None:
    options = _options()
    console.quiet = True
    importlib.import_module("lancedb")  # which the index imports when it is opened
    folder = Path(tempfile.mkdtemp(prefix="kill-rounds-", dir=options.folder))
    try:
        rounds, seconds = _rounds(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "rounds": len(rounds),
        "killed": sum(one["killed"] for one in rounds),
        "documents_committed": sum(one["said"] for one in rounds),
        "lost": 0,  # anything lost has ended the run by now
    }
    print(json.dumps(result))
    report = {
        "commit": commit(),
        "versions": versions("lancedb"),
        "machine": machine("cpu"),
        "options": {**vars(options), "out": None},
        **result,
        "seconds": seconds,
    }
    text = json.dumps({**report, "each_round": rounds}, default=str)
    options.out.write_text(text.replace("}, {", "},\n{") + "\n")


def _rounds(folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, Any]], float]:
    """What happened in each round, and seconds in all; an assertion fails where something was lost."""
    rng = random.Random(options.seed)
    model = _bag_of_words()
    changes.COMMIT = COMMIT
    docs, path = folder / "docs", folder / "index"
    docs.mkdir()
    versions = dict.fromkeys(range(options.documents), 0)
    for number in versions:
        _write(docs, number, 0)
    start = time.perf_counter()
    _in_process(lambda: _build(path, docs, model))
    committed = dict(versions)
    rounds: list[dict[str, Any]] = []
    seconds = 0.0
    for number in range(options.rounds):
        _change(docs, versions, rng)
        if number % TIMED == 0:  # a round that nothing happens to says how long one takes
            begun = time.perf_counter()
            _in_process(lambda: _add(path, docs, model, None))
            seconds = time.perf_counter() - begun
            committed = dict(versions)
            rounds.append({"killed": False, "said": 0, "seconds": seconds})
        else:
            after = rng.uniform(0.2, 1.1) * seconds
            said, was_killed = _add_and_kill(path, docs, model, after)
            rounds.append({"killed": was_killed, "said": len(said), "seconds": after})
            committed.update({document: versions[document] for document in said})
        found = _in_process(lambda: _contents(path, model))
        _check(number, found, versions, committed)
        committed = found
        if options.seconds and time.perf_counter() - start > options.seconds:
            print(f"stopped after {options.seconds:g} s")
            break
    _in_process(lambda: _add(path, docs, model, None))
    _in_process(lambda: _build(folder / "other", docs, model))
    assert _in_process(lambda: _same(path, folder / "other")), "differs from one never killed"
    return rounds, time.perf_counter() - start


def _change(docs: Path, versions: dict[int, int], rng: random.Random) -> None:
    """A new version of half the documents, and a new document while there are few."""
    for number in rng.sample(sorted(versions), len(versions) // 2):
        versions[number] += 1
        _write(docs, number, versions[number])
    if len(versions) < MOST:
        new = len(versions)
        versions[new] = 0
        _write(docs, new, 0)


def _check(
    number: int, found: dict[int, int], versions: dict[int, int], committed: dict[int, int]
) -> None:
    for document, at_least in committed.items():
        assert document in found, f"round {number}: document {document} was committed, and is gone"
        assert at_least <= found[document] <= versions[document], (
            f"round {number}: document {document} is at version {found[document]}, committed was {at_least}"
        )


def _contents(path: Path, model: SentenceTransformer) -> dict[int, int]:
    """Version of each document in the index; none may be there in part, and the words find what is there."""
    index = Index.open(path, model=model)
    rows, vectors = index.rows(), index.vectors()
    assert len(rows) == len(vectors)
    assert np.isfinite(vectors).all()
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(int(row["document"].removesuffix(".md")), []).append(row["text"])
    versions = {}
    for document, texts in found.items():
        at = {int(text.split()[3]) for text in texts}
        whole = len(texts) == SECTIONS and len(at) == 1
        assert whole, f"document {document} is not whole: {texts}"
        versions[document] = at.pop()
    some = max(versions)
    hits = index.search(f"page{some}", SECTIONS, "words")
    assert {hit.document for hit in hits} == {f"{some}.md"}, "the words find something else"
    return versions


def _build(path: Path, docs: Path, model: SentenceTransformer) -> None:
    Index.build(path, str(docs), model=model)


def _same(path: Path, other: Path) -> bool:
    one, two = Index.open(path), Index.open(other)
    return one.rows() == two.rows() and np.allclose(one.vectors(), two.vectors(), atol=1e-5)


def _add(path: Path, docs: Path, model: SentenceTransformer, said: int | None) -> None:
    if said is not None:
        commit = PassageTable.commit

        def saying(table, documents, vectors, changed):
            commit(table, documents, vectors, changed)
            line = " ".join(one.document.removesuffix(".md") for one in documents)
            os.write(said, f"{line}\n".encode())

        PassageTable.commit = saying
    Index.open(path, model=model).add(str(docs))


def _add_and_kill(
    path: Path, docs: Path, model: SentenceTransformer, after: float
) -> tuple[list[int], bool]:
    """Documents that the process said were committed before it was killed, and whether it still worked then."""
    read, write = os.pipe()
    child = _fork(lambda: _add(path, docs, model, write))
    os.close(write)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as lines:
        said = [int(name) for line in lines if line.endswith("\n") for name in line.split()]
    if not os.WIFSIGNALED(status):
        assert os.waitstatus_to_exitcode(status) == 0, "adding failed by itself"
    return said, os.WIFSIGNALED(status)


def _in_process(work: Callable[[], object]) -> object:
    """What ``work`` returns in a process of its own."""
    read, write = os.pipe()

    def told() -> None:
        content = json.dumps(work())
        with os.fdopen(write, "w") as out:
            out.write(content)

    child = _fork(told)
    os.close(write)
    with os.fdopen(read) as content:
        answer = content.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "see the error above"
    found = json.loads(answer)
    return {int(key): value for key, value in found.items()} if isinstance(found, dict) else found


def _fork(work: Callable[[], None]) -> int:
    with warnings.catch_warnings(action="ignore"):  # of locks that lancedb might hold
        child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _write(docs: Path, number: int, version: int) -> None:
    rng = random.Random(f"{number} {version}")
    sections = (
        f"# part{part}\n\nversion of page{number}: {version} {' '.join(rng.choices(WORDS, k=12))}\n"
        for part in range(SECTIONS)
    )
    (docs / f"{number}.md").write_text("\n".join(sections))


def _bag_of_words() -> SentenceTransformer:
    vocabulary = {word: number for number, word in enumerate(["-", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="-"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(0).normal(size=(len(vocabulary), 16)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=table)
    return SentenceTransformer(modules=[module], device="cpu")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--documents", type=int, default=12, help="in the beginning")
    parser.add_argument("--seconds", type=float, help="stop then")
    parser.add_argument("--folder", type=Path, help="where the index stands; default: temporary")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
