"""Sentences with a tag for each word: names of diseases, genes and people, phrases, parts of speech.

Every loader returns the columns ``tokens`` and ``tags``, lists of strings of one length. Tags of
names and phrases are BIO: ``B-TYPE`` begins one, ``I-TYPE`` goes on with it, ``O`` is outside. An I
that goes on with nothing of its type becomes B (`entities_begun`); of these sets only NerKor has
such, 26 of them. `MissingData` is raised when a file is not there, and `BadInput` that names file
and line when a line is malformed.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasets import Dataset

from polyvec.data.benchmarks.files import members, stored
from polyvec.data.benchmarks.rows import UTF8
from polyvec.data.benchmarks.tag_columns import Layout, Sentences, add_sentences
from polyvec.data.text_lines import lines_of, read_lines
from polyvec.errors import BadInput

_TWO_COLUMNS = Layout(2, word=0, tag=1)
_BLANK_BETWEEN = Layout(2, word=0, tag=1, separator=" ")
_CHUNKS = Layout(3, word=0, tag=2, separator=" ")
_CONLLU = Layout(10, word=1, tag=3, passed_over=re.compile(r"#.*|\d+[-.]\d+\t.*"), entities=False)
# A word may start with # or be one, so a comment is only what has no columns. One slash in
# train/legal/jrc_1 is tagged V.
_NERKOR = Layout(7, word=0, tag=5, passed_over=re.compile(r"#[^\t]*"), slips={"V": "O"})

_BIO_NER_SPLITS = ("train", "devel", "test")
_WNUT17 = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}


def read_ncbi_disease(root: Path) -> dict[str, Dataset]:
    """Diseases in abstracts.

    Doğan, Leaman, Lu (2014): NCBI disease corpus, Journal of Biomedical Informatics 47. In the
    division and tokens of Crichton, Pyysalo, Chiu, Korhonen (2017).

    Args:
        root: holds ``bio-ner/NCBI-disease/train.tsv``, ``devel.tsv`` and ``test.tsv``.

    Returns:
        ``train``, ``devel`` and ``test``: 5,424, 923 and 940 sentences; type Disease.
    """
    return _bio_ner(root, "NCBI-disease")


def read_bc5cdr_disease(root: Path) -> dict[str, Dataset]:
    """Diseases in abstracts about the effects of chemicals.

    Li et al. (2016): BioCreative V CDR task corpus, Database. In the division and tokens of
    Crichton, Pyysalo, Chiu, Korhonen (2017).

    Args:
        root: holds ``bio-ner/BC5CDR-disease/train.tsv``, ``devel.tsv`` and ``test.tsv``.

    Returns:
        ``train``, ``devel`` and ``test``: 4,560, 4,581 and 4,797 sentences; type Disease.
    """
    return _bio_ner(root, "BC5CDR-disease")


def read_bc2gm(root: Path) -> dict[str, Dataset]:
    """Genes and proteins in sentences of abstracts.

    Smith et al. (2008): Overview of BioCreative II gene mention recognition, Genome Biology 9. In
    the division and tokens of Crichton, Pyysalo, Chiu, Korhonen (2017).

    Args:
        root: holds ``bio-ner/BC2GM/train.tsv``, ``devel.tsv`` and ``test.tsv``.

    Returns:
        ``train``, ``devel`` and ``test``: 12,574, 2,519 and 5,038 sentences; type GENE.
    """
    return _bio_ner(root, "BC2GM")


def read_wnut17(root: Path) -> dict[str, Dataset]:
    """New and rare names in social media.

    Derczynski, Nichols, van Erp, Limsopatham (2017): Results of the WNUT2017 Shared Task on Novel
    and Emerging Entity Recognition, W-NUT.

    Args:
        root: holds ``wnut17/wnut17train.conll``, ``emerging.dev.conll`` and
            ``emerging.test.annotated``.

    Returns:
        ``train``, ``dev`` and ``test``: 3,394, 1,009 and 1,287 texts; types corporation,
        creative-work, group, location, person and product.
    """
    return {
        split: _file(stored(root, f"wnut17/{name}"), _TWO_COLUMNS)
        for split, name in _WNUT17.items()
    }


def read_conll2000(root: Path) -> dict[str, Dataset]:
    """Phrases in the Wall Street Journal.

    Tjong Kim Sang, Buchholz (2000): Introduction to the CoNLL-2000 Shared Task: Chunking,
    arXiv:cs/0009008.

    Args:
        root: holds NLTK's ``nltk/conll2000.zip``.

    Returns:
        ``train`` and ``test``: 8,936 and 2,012 sentences; types NP, VP, PP, ADVP, ADJP, SBAR, PRT,
        CONJP, INTJ, LST and UCP.
    """
    return _archive(stored(root, "nltk/conll2000.zip"), ("train", "test"), r".*\b{}\.txt", _CHUNKS)


def read_nerkor(root: Path) -> dict[str, Dataset]:
    """Names in Hungarian fiction, law, news, web pages and Wikipedia.

    Simon, Vadász (2021): Introducing NYTK-NerKor, TSD.

    Args:
        root: holds ``hungarian/nerkor.tar.gz``, in which the folders are the splits.

    Returns:
        ``train``, ``devel`` and ``test``: 52,771, 6,996 and 6,752 sentences; types PER, LOC, ORG
        and MISC.
    """
    path = stored(root, "hungarian/nerkor.tar.gz")
    return _archive(path, _BIO_NER_SPLITS, r"(?:.*/)?{}/.*\.conllup", _NERKOR)


def read_ud_hungarian(root: Path) -> dict[str, Dataset]:
    """Parts of speech in Hungarian news.

    Vincze, Szauter, Almási, Móra, Alexin, Csirik (2010): Hungarian Dependency Treebank, LREC, as
    Universal Dependencies. Multiword tokens and empty nodes are passed over.

    Args:
        root: holds ``hungarian/ud-szeged/hu_szeged-ud-train.conllu``, ``-dev`` and ``-test``.

    Returns:
        ``train``, ``dev`` and ``test``: 910, 441 and 449 sentences; tags are UPOS (NOUN, VERB, …),
        not BIO.
    """
    return {
        split: _file(stored(root, f"hungarian/ud-szeged/hu_szeged-ud-{split}.conllu"), _CONLLU)
        for split in ("train", "dev", "test")
    }


def read_ner_uk(root: Path) -> dict[str, Dataset]:
    """Names in Ukrainian text.

    Chaplynskyi, Romanyshyn (2024): Introducing NER-UK 2.0, UNLP.

    Args:
        root: holds ``ukrainian/ner-uk/train.iob`` and ``test.iob``.

    Returns:
        ``train`` and ``test``: 11,161 and 5,087 sentences; types ART, DATE, DOC, JOB, LOC, MISC,
        MON, ORG, PCT, PERIOD, PERS, QUANT and TIME.
    """
    return {
        split: _file(stored(root, f"ukrainian/ner-uk/{split}.iob"), _BLANK_BETWEEN)
        for split in ("train", "test")
    }


def _bio_ner(root: Path, name: str) -> dict[str, Dataset]:
    return {
        split: _file(stored(root, f"bio-ner/{name}/{split}.tsv"), _TWO_COLUMNS)
        for split in _BIO_NER_SPLITS
    }


def _file(path: Path, layout: Layout) -> Dataset:
    found = Sentences()
    add_sentences(found, read_lines(path, UTF8), str(path), layout)
    return found.dataset()


def _archive(
    path: Path, splits: tuple[str, ...], pattern: str, layout: Layout
) -> dict[str, Dataset]:
    """Sentences of an archive's members; ``pattern`` matches the names of a split."""
    names = {split: re.compile(pattern.format(split)) for split in splits}
    found = {split: Sentences() for split in splits}
    inside = members(path, lambda name: any(one.fullmatch(name) for one in names.values()))
    for name, content in inside:
        split = next(split for split, one in names.items() if one.fullmatch(name))
        add_sentences(found[split], lines_of(content), f"{path}/{name}", layout)
    missing = [split for split in splits if not found[split].tokens]
    if missing:
        raise BadInput(f"{path}: no file of the split {missing[0]} in it")
    return {split: sentences.dataset() for split, sentences in found.items()}
