"""Texts with a class each: intents, sentiment, kinds of question, topics.

Every loader returns the columns ``text`` and ``label``, a `datasets.ClassLabel` that knows the names,
and raises `MissingData` when a file is not there, and `BadInput` that names file and line (or the
place in a JSON file) when a row is malformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value

from polyvec.data.benchmarks.files import MissingData, stored
from polyvec.data.benchmarks.json_values import JsonValue, read_json_value
from polyvec.data.benchmarks.rows import UTF8, Row, csv_rows, line_rows
from polyvec.errors import BadInput

_POLARITY = ["negative", "positive"]
_QUESTIONS = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
_TOPICS = ["World", "Sports", "Business", "Sci/Tech"]
_OUTLOOK = ["negative", "neutral", "positive"]
_WINDOWS = "cp1252"
_CLINC = {"train": "train", "validation": "val", "test": "test"}
_OUT_OF_SCOPE = "oos"
_NO_CLASS = -1
"""What `datasets` keeps where a text has none of the classes."""


def read_banking77(root: Path) -> dict[str, Dataset]:
    """BANKING77: what a bank's customer wants, one of 77 intents.

    Casanueva, Temčinas, Gerz, Henderson, Vulić (2020): Efficient Intent Detection with Dual
    Sentence Encoders, arXiv:2003.04807. Six questions of the test part are also in the train part.

    Args:
        root: holds ``banking77/train.csv`` and ``test.csv``.

    Returns:
        ``train`` and ``test`` (10,003 and 3,080 questions).
    """
    rows = {
        split: csv_rows(stored(root, f"banking77/{split}.csv"), ("text", "category"))
        for split in ("train", "test")
    }
    names = sorted({row.text("category") for row in rows["train"]})
    return {split: _classified(part, "category", names) for split, part in rows.items()}


def read_clinc150(root: Path) -> dict[str, Dataset]:
    """CLINC150: what a user wants of an assistant, one of 150 intents, or none of them.

    Larson et al. (2019): An Evaluation Dataset for Intent Classification and Out-of-Scope
    Prediction, arXiv:1909.02027.

    Args:
        root: holds ``clinc150/data_full.json``, and perhaps the ``domains.json`` of the same
            repository (domain → its intents).

    Returns:
        ``train``, ``validation`` and ``test`` (15,000, 3,000 and 4,500 texts), and texts without
        any of the intents as ``oos_train``, ``oos_validation`` and ``oos_test`` (100, 100 and
        1,000) with label -1. Where ``domains.json`` is there, a column ``domain`` says which of ten
        an intent belongs to, ``oos`` if none.
    """
    whole = read_json_value(stored(root, "clinc150/data_full.json"))
    names = sorted({_said(pair)[1] for pair in whole.items("train")})
    domains = _domains(root, names)
    found = {}
    for split, key in _CLINC.items():
        found[split] = _intents(whole.items(key), names, domains)
    for split, key in _CLINC.items():
        found[f"oos_{split}"] = _intents(whole.items(f"oos_{key}"), names, domains, scope=False)
    return found


def read_movie_polarity(root: Path) -> dict[str, Dataset]:
    """MR: is a sentence of a movie's review positive or negative?

    Pang, Lee (2005): Seeing stars, arXiv:cs/0506075.

    Args:
        root: holds ``sentence-classification/rt-polarity.all``.

    Returns:
        ``all``, 10,662 sentences, half of them positive. There is no division; published values
        are of a ten-fold cross-validation.
    """
    return {"all": _numbered(root, "rt-polarity.all", _WINDOWS)}


def read_customer_reviews(root: Path) -> dict[str, Dataset]:
    """CR: is a sentence of a customer's review positive or negative?

    Hu, Liu (2004): Mining and Summarizing Customer Reviews, KDD.

    Args:
        root: holds ``sentence-classification/custrev.all``.

    Returns:
        ``all``, 3,771 sentences, 2,405 of them positive. The file has four more lines, with a label
        and no text, which are left out.
    """
    return {"all": _numbered(root, "custrev.all", textless=True)}


def read_sst2(root: Path) -> dict[str, Dataset]:
    """SST-2: is a sentence of a movie's review positive or negative? Whole sentences, no phrases.

    Socher et al. (2013): Recursive Deep Models for Semantic Compositionality Over a Sentiment
    Treebank, EMNLP.

    Args:
        root: holds ``sentence-classification/stsa.binary.train``, ``.dev`` and ``.test``.

    Returns:
        ``train``, ``dev`` and ``test`` (6,920, 872 and 1,821 sentences); brackets are ``-lrb-`` and
        ``-rrb-``, as in the treebank.
    """
    return {split: _numbered(root, f"stsa.binary.{split}") for split in ("train", "dev", "test")}


def read_trec_questions(root: Path) -> dict[str, Dataset]:
    """TREC questions: what kind of thing answers one, of six?

    Li, Roth (2002): Learning Question Classifiers, COLING. The finer kinds (``NUM:dist``) are cut
    off.

    Args:
        root: holds ``sentence-classification/TREC.train`` and ``TREC.test``.

    Returns:
        ``train`` and ``test`` (5,452 and 500 questions); ABBR(eviation), DESC(ription), ENTY (an
        entity), HUM(an), LOC(ation) or NUM(ber).
    """
    return {split: _questions(root, split) for split in ("train", "test")}


def read_ag_news(root: Path) -> dict[str, Dataset]:
    r"""AG News: what a piece of news is about, one of four topics. Only the test part.

    Zhang, Zhao, LeCun (2015): Character-level Convolutional Networks for Text Classification,
    arXiv:1509.01626.

    Args:
        root: holds ``ag-news/test.csv``.

    Returns:
        ``test``, 7,600 titles with the description after it and a blank between. Backslashes
        (where a line ended, or before ``$``) and the remains of entities (``#39;``) are kept as
        every other copy of the set has them.
    """
    rows = csv_rows(stored(root, "ag-news/test.csv"), ("class", "title", "text"), header=False)
    texts = [f"{row.text('title')} {row.text('text')}" for row in rows]
    labels = [row.one_of("class", ("1", "2", "3", "4")) for row in rows]
    return {"test": _dataset(texts, labels, _TOPICS)}


def read_financial_phrasebank(root: Path) -> dict[str, Dataset]:
    """Financial PhraseBank: does a sentence of the news speak for or against a share?

    Malo, Sinha, Korhonen, Wallenius, Takala (2014): Good debt or bad debt, arXiv:1307.5336. Every
    sentence that at least half of the annotators agreed on.

    Args:
        root: holds ``financial-phrasebank/Sentences_50Agree.txt``, in Latin-1.

    Returns:
        ``all``, 4,846 sentences; negative, neutral or positive. There is no division.
    """
    path = stored(root, "financial-phrasebank/Sentences_50Agree.txt")
    rows = line_rows(
        path, ("text", "label"), lambda line: line.rsplit("@", 1), encoding="iso-8859-1"
    )
    return {"all": _classified(rows, "label", _OUTLOOK)}


def _numbered(root: Path, name: str, encoding: str = UTF8, textless: bool = False) -> Dataset:
    """Lines of 0 or 1, a blank, and a text."""
    path = stored(root, f"sentence-classification/{name}")
    rows = line_rows(path, ("label", "text"), lambda line: line.split(" ", 1), encoding=encoding)
    if textless:
        rows = [row for row in rows if row.fields["text"].strip()]
    texts = [row.text("text") for row in rows]
    return _dataset(texts, [row.one_of("label", ("0", "1")) for row in rows], _POLARITY)


def _questions(root: Path, split: str) -> Dataset:
    def cut(line: str) -> list[str]:
        kind, _, text = line.partition(" ")
        return [kind.partition(":")[0], text]

    path = stored(root, f"sentence-classification/TREC.{split}")
    return _classified(
        line_rows(path, ("kind", "text"), cut, encoding=_WINDOWS), "kind", _QUESTIONS
    )


def _said(pair: JsonValue) -> tuple[str, str]:
    """Text and intent of a pair."""
    items = pair.items()
    if len(items) != 2:
        raise pair.wrong(f"{len(items)} items; would be a text and its intent")
    return items[0].text().strip(), items[1].text()


def _intents(
    pairs: Sequence[JsonValue], names: list[str], domains: dict[str, str], scope: bool = True
) -> Dataset:
    texts, labels = [], []
    for pair in pairs:
        text, intent = _said(pair)
        if (intent in names) is not scope or (not scope and intent != _OUT_OF_SCOPE):
            wanted = "an intent of the train part" if scope else repr(_OUT_OF_SCOPE)
            raise pair.wrong(f"intent {intent!r}; would be {wanted}")
        texts.append(text)
        labels.append(names.index(intent) if scope else _NO_CLASS)
    found = _dataset(texts, labels, names)
    if not domains:
        return found
    of = [_OUT_OF_SCOPE if label == _NO_CLASS else domains[names[label]] for label in labels]
    return found.add_column("domain", of)


def _domains(root: Path, intents: Sequence[str]) -> dict[str, str]:
    """Intent → domain; empty if the file is not there."""
    try:
        path = stored(root, "clinc150/domains.json")
    except MissingData:
        return {}
    listed = read_json_value(path).parts()
    found = {intent.text(): name for name, part in listed.items() for intent in part.items()}
    missing = [intent for intent in intents if intent not in found]
    if missing:
        raise BadInput(f"{path}: no domain has the intent {missing[0]!r}; each needs one")
    return found


def _classified(rows: Sequence[Row], column: str, names: list[str]) -> Dataset:
    texts = [row.text("text") for row in rows]
    return _dataset(texts, [row.one_of(column, names) for row in rows], names)


def _dataset(texts: list[str], labels: list[int], names: list[str]) -> Dataset:
    features = Features(text=Value("string"), label=ClassLabel(names=names))
    return Dataset.from_dict({"text": texts, "label": labels}, features=features)
