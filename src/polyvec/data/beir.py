"""Retrieval benchmarks in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv.

Thakur, Reimers, Rücklé, Srivastava, Gurevych (2021): BEIR: A Heterogeneous Benchmark for Zero-shot
Evaluation of Information Retrieval Models, arXiv:2104.08663. Judgements may also come as TREC qrels
and queries as TSV or CSV, since those are what other tools write. Any of the files may be
compressed with gzip.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from polyvec.data.documents import Reading, Skipped
from polyvec.data.row_documents import row_document
from polyvec.data.text_lines import parse_object, read_lines
from polyvec.errors import BadInput
from polyvec.files import write_text

_NAMED = 5
"""Unknown ids that an error names before it only counts them."""
_QUERY_HEADERS = {"_id", "id", "qid", "query-id", "query_id", "queryid", "query id"}


@dataclass(frozen=True, slots=True)
class Judgements:
    """Queries and what is relevant to them.

    Attributes:
        queries: query id → text.
        qrels: query id → document id → grade, 1 or more; queries without a relevant document are
            absent.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def only(self, ids: Iterable[str]) -> Judgements:
        """The part about the queries with these ids."""
        ids = list(ids)
        qrels = {id: self.qrels[id] for id in ids if id in self.qrels}
        return Judgements({id: self.queries[id] for id in ids}, qrels)


class _CorpusRow(NamedTuple):
    place: str
    id: str
    title: str
    text: str


class _Judgement(NamedTuple):
    query: str
    document: str
    grade: int


def is_beir_folder(path: Path) -> bool:
    """Whether ``path`` is a folder with a ``corpus.jsonl`` or ``corpus.jsonl.gz``."""
    return _stored(path, "corpus.jsonl") is not None


def read_beir_corpus(path: Path) -> Reading:
    """Read the corpus of a BEIR folder.

    Returns:
        A document for each row with its own id. Where a row has only a title, this is its text.
        Rows with neither are listed as skipped.

    Raises:
        BadInput: when a row is not JSON, has no ``_id`` or the ``_id`` of another; the sentence
            names file and line.
    """
    reading = Reading()
    for place, id, title, text in _corpus_rows(path):
        if _says_something(text):
            reading.documents.append(row_document(id, title, text))
        elif _says_something(title):
            reading.documents.append(row_document(id, "", title))
        else:
            reading.skipped.append(Skipped(place, f"no text in document {id!r}"))
    return reading


def read_queries(path: Path) -> dict[str, str]:
    """Read queries by id.

    Args:
        path: JSON lines with ``_id`` and ``text``, or a TSV or CSV file of id and text, with or
            without a header.

    Raises:
        BadInput: naming file, line and what is wanted, when a row is malformed, empty or repeats an
            id.
    """
    rows = _json_queries(path) if _kind(path) in ("jsonl", "json") else _separated_queries(path)
    queries: dict[str, str] = {}
    for place, id, text in rows:
        if id in queries:
            raise BadInput(f"{place}: query {id!r} is there a second time")
        if not text.strip():
            raise BadInput(f"{place}: query {id!r} has no text")
        queries[id] = " ".join(text.split())
    if not queries:
        raise BadInput(f"{path}: no query in it")
    return queries


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read relevance judgements: query id → document id → grade.

    Args:
        path: BEIR's TSV of query id, document id and grade with a header line, or TREC's four
            columns (query id, 0, document id, grade).

    Returns:
        Judgements with a grade above 0; of several for one pair the highest.

    Raises:
        BadInput: naming file, line and what is wanted, when a row is malformed, or when nothing is
            relevant.
    """
    qrels: dict[str, dict[str, int]] = {}
    for query, document, grade in _judgements(path):
        if grade > 0:
            grades = qrels.setdefault(query, {})
            grades[document] = max(grade, grades.get(document, 0))
    if not qrels:
        raise BadInput(f"{path}: no judgement with a grade above 0 in it")
    return qrels


def check_judgements(
    queries: Collection[str],
    qrels: Mapping[str, Mapping[str, int]],
    document_ids: Collection[str],
    qrels_path: Path,
) -> None:
    """Make sure that judgements are about queries and documents that exist.

    Raises:
        BadInput: naming the file and the first ids that do not exist.
    """
    known = set(document_ids)
    unknown = [query for query in qrels if query not in queries]
    if unknown:
        raise BadInput(f"{qrels_path}: {_listed(unknown, 'query id')} not among the queries")
    unknown = list(dict.fromkeys(d for grades in qrels.values() for d in grades if d not in known))
    if unknown:
        raise BadInput(f"{qrels_path}: {_listed(unknown, 'document id')} not among the documents")


def read_judgements(
    queries_path: Path, qrels_path: Path, document_ids: Collection[str]
) -> Judgements:
    """Read queries and judgements for documents that were read from anywhere.

    A document of a table, whose id is ``FILE#ID``, may be judged by its ``ID`` alone where only one
    has it.

    Raises:
        BadInput: as `read_queries`, `read_qrels` and `check_judgements` do.
    """
    queries, qrels = read_queries(queries_path), read_qrels(qrels_path)
    full = _full_ids(document_ids)
    qrels = {q: {full.get(d, d): g for d, g in grades.items()} for q, grades in qrels.items()}
    check_judgements(queries, qrels, document_ids, qrels_path)
    return Judgements(queries, qrels)


def folder_judgements(path: Path) -> Judgements | None:
    """A BEIR folder's own queries and judgements, from qrels/test.tsv or the only file there.

    Judgements of documents that have neither text nor title are left out, since nothing can find
    those.

    Returns:
        None when the folder has no queries or no judgements.

    Raises:
        BadInput: as `read_judgements` does; also when ``qrels/`` has several files and none is
            ``test.tsv``.
    """
    queries_path, qrels_path = _stored(path, "queries.jsonl"), _own_qrels(path)
    if queries_path is None or qrels_path is None:
        return None
    filled = {row.id: _says_something(row.title + row.text) for row in _corpus_rows(path)}
    judged = read_judgements(queries_path, qrels_path, filled)
    found = {q: _only(grades, filled) for q, grades in judged.qrels.items()}
    return Judgements(judged.queries, {q: grades for q, grades in found.items() if grades})


def write_beir(
    folder: Path,
    corpus: Mapping[str, tuple[str, str]],
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
) -> None:
    """Write a benchmark in BEIR's layout, which every retrieval library reads.

    Args:
        folder: made if it is missing; files of the same names are replaced.
        corpus: document id → title and text.
        queries: query id → text.
        qrels: query id → document id → grade.

    Raises:
        BadInput: when an id has white space at its ends, or a tab or line end in it, which the
            format cannot hold.
    """
    _refuse_unwritable_ids([*corpus, *queries])
    check_judgements(queries, qrels, corpus, folder / "qrels" / "test.tsv")
    documents = [{"_id": id, "title": title, "text": text} for id, (title, text) in corpus.items()]
    write_text(folder / "corpus.jsonl", _json_lines(documents))
    asked = [{"_id": id, "text": text} for id, text in queries.items()]
    write_text(folder / "queries.jsonl", _json_lines(asked))
    rows = [f"{q}\t{d}\t{grade}\n" for q, grades in qrels.items() for d, grade in grades.items()]
    write_text(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n" + "".join(rows))


def _stored(folder: Path, name: str) -> Path | None:
    """A file of the folder, compressed or not."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def _kind(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").rpartition(".")[2]


def _says_something(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not blank."""
    for line in read_lines(path):
        place = f"{path}:{line.number}"
        if line.problem:
            raise BadInput(f"{place}: {line.problem}")
        if line.text.strip():
            yield place, line.text.rstrip("\n")


def _corpus_rows(folder: Path) -> Iterator[_CorpusRow]:
    path = _stored(folder, "corpus.jsonl") or folder / "corpus.jsonl"
    first: dict[str, str] = {}
    for place, id, record in _json_rows(path):
        if id in first:
            raise BadInput(f"{place}: _id {id!r} is that of {first[id]} too")
        first[id] = place
        yield _CorpusRow(place, id, _string(record, "title", place), _string(record, "text", place))


def _json_rows(path: Path) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Place, ``_id`` and record of each line."""
    for place, text in _text_lines(path):
        try:
            record = parse_object(text)
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from None
        id = record.get("_id")
        if not isinstance(id, str | int) or isinstance(id, bool) or id == "":
            raise BadInput(f"{place}: no _id; a row needs a string _id and a text")
        yield place, str(id), record


def _string(record: Mapping[str, object], column: str, place: str) -> str:
    value = record.get(column)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{place}: {column} is not a string")
    return value or ""


def _json_queries(path: Path) -> Iterator[tuple[str, str, str]]:
    for place, id, record in _json_rows(path):
        yield place, id, _string(record, "text", place)


def _separated_queries(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, (place, text) in enumerate(_text_lines(path)):
        fields = _fields(text, path)
        if number == 0 and fields[0].casefold() in _QUERY_HEADERS:
            continue
        if len(fields) != 2 or not fields[0]:
            wanted = "id,text" if _kind(path) == "csv" else "id<TAB>text"
            raise BadInput(f"{place}: {len(fields)} columns; a line needs {wanted}")
        yield place, fields[0], fields[1]


def _judgements(path: Path) -> Iterator[_Judgement]:
    for number, (place, text) in enumerate(_text_lines(path)):
        fields = _fields(text, path) if "\t" in text or _kind(path) == "csv" else text.split()
        grade = _whole_number(fields[-1])
        if number == 0 and grade is None and len(fields) in (3, 4):
            continue
        if len(fields) not in (3, 4) or grade is None:
            raise BadInput(
                f"{place}: a line needs query id, document id and a whole grade, "
                "or TREC's query id, 0, document id and grade"
            )
        yield _Judgement(fields[0], fields[-2], grade)


def _fields(text: str, path: Path) -> list[str]:
    separated = next(csv.reader([text])) if _kind(path) == "csv" else text.split("\t")
    return [field.strip() for field in separated]


def _whole_number(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _full_ids(document_ids: Collection[str]) -> dict[str, str]:
    """The part after ``#`` of an id → the id, where only one has it and none is called so."""
    short = {id: id.partition("#")[2] for id in document_ids if "#" in id}
    count = Counter([*short.values(), *document_ids])
    return {name: id for id, name in short.items() if name and count[name] == 1}


def _only(grades: Mapping[str, int], filled: Mapping[str, bool]) -> dict[str, int]:
    return {document: grade for document, grade in grades.items() if filled[document]}


def _own_qrels(folder: Path) -> Path | None:
    place = folder / "qrels"
    test = _stored(place, "test.tsv")
    files = sorted(place.glob("*.tsv")) + sorted(place.glob("*.tsv.gz"))
    if test is None and len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise BadInput(f"{place}: {names}, and none is test.tsv; keep only the one to use")
    return test or next(iter(files), None)


def _listed(ids: list[str], kind: str) -> str:
    named = ", ".join(repr(id) for id in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{kind}{'s' if len(ids) > 1 else ''} {named}{more} {'are' if len(ids) > 1 else 'is'}"


def _refuse_unwritable_ids(ids: Iterable[str]) -> None:
    for id in ids:
        if not id or id != id.strip() or any(c in id for c in "\t\n\r"):
            raise BadInput(f"id {id!r} is empty or has a tab, a line end or spaces around it")


def _json_lines(records: Iterable[Mapping[str, str]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
