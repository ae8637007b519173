"""Words that people judged: how alike two are, and which completes an analogy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, Features, Value

from polyvec.data.benchmarks.files import stored
from polyvec.data.benchmarks.rows import UTF8, intact, line_rows, tabs
from polyvec.data.text_lines import read_lines
from polyvec.errors import BadInput

_HIGHEST = {
    "EN-MC-30": 4,
    "EN-MEN-TR-3k": 50,
    "EN-MTurk-287": 5,
    "EN-MTurk-771": 5,
    "EN-RG-65": 4,
    "EN-RW-STANFORD": 10,
    "EN-SIMLEX-999": 10,
    "EN-SimVerb-3500": 10,
    "EN-VERB-143": 1,
    "EN-WS-353-ALL": 10,
    "EN-WS-353-REL": 10,
    "EN-WS-353-SIM": 10,
    "EN-YP-130": 4,
}
_CHINESE_HIGHEST = {"240": 10, "297": 5}
_ANALOGIES = {
    "en": "word-analogy/questions-words.txt",
    "hu": "hungarian/questions-words-hu.txt",
    "zh": "cwe-chinese/analogy.txt",
}


def read_word_similarity(root: Path) -> dict[str, Dataset]:
    """Thirteen English sets of word pairs, as collected by Faruqui and Dyer (2014).

    ================ ===== ====== ====================================================
    set              pairs scores
    ================ ===== ====== ====================================================
    EN-MC-30            30 0-4    Miller and Charles 1991
    EN-MEN-TR-3k     3,000 0-50   Bruni, Tran, Baroni 2014: relatedness
    EN-MTurk-287       287 1-5    Radinsky, Agichtein, Gabrilovich, Markovitch 2011
    EN-MTurk-771       771 1-5    Halawi, Dror, Gabrilovich, Koren 2012
    EN-RG-65            65 0-4    Rubenstein and Goodenough 1965
    EN-RW-STANFORD   2,034 0-10   Luong, Socher, Manning 2013: rare words
    EN-SIMLEX-999      999 0-10   Hill, Reichart, Korhonen 2015: likeness, not relatedness
    EN-SimVerb-3500  3,500 0-10   Gerz, Vulić, Hill, Reichart, Korhonen 2016: verbs
    EN-VERB-143        144 0-1    Baker, Reichart, Korhonen 2014: verbs, inflected
    EN-WS-353-ALL      353 0-10   Finkelstein et al. 2002
    EN-WS-353-REL      252 0-10   Agirre et al. 2009: of these, the related pairs
    EN-WS-353-SIM      203 0-10   Agirre et al. 2009: of these, the like pairs
    EN-YP-130          130 0-4    Yang and Powers 2006: verbs
    ================ ===== ====== ====================================================

    Args:
        root: holds ``word-similarity/EN-MC-30.txt`` and the others.

    Returns:
        Set → the columns ``word1``, ``word2`` and ``score``. A few sets judge a pair in both orders
        or twice; all judgements are kept, as published values have them.

    Raises:
        MissingData: when a file is not there.
        BadInput: naming file and line when a row is malformed.
    """
    return {
        name: _pairs(stored(root, f"word-similarity/{name}.txt"), highest)
        for name, highest in _HIGHEST.items()
    }


def read_chinese_word_similarity(root: Path) -> dict[str, Dataset]:
    """Two Chinese sets of word pairs.

    Chen, Xu, Liu, Sun, Luan (2015): Joint Learning of Character and Word Embeddings, IJCAI; the
    first is Jin and Wu (2012), SemEval Task 4.

    Args:
        root: holds ``cwe-chinese/240.txt`` and ``297.txt``.

    Returns:
        ``240`` (scores 0-10) and ``297`` (0-5), named for their sizes, with the columns of
        `read_word_similarity`.

    Raises:
        MissingData: when a file is not there.
        BadInput: naming file and line when a row is malformed.
    """
    return {
        name: _pairs(stored(root, f"cwe-chinese/{name}.txt"), highest)
        for name, highest in _CHINESE_HIGHEST.items()
    }


def read_analogies(root: Path, language: str) -> Dataset:
    r"""Questions like: Athens is to Greece as Baghdad is to …?

    - ``en``: 19,544 questions in 14 categories (Mikolov, Chen, Corrado, Dean 2013,
      arXiv:1301.3781).
    - ``hu``: 21,396 questions in 14 categories (Makrai 2015), made after these. In 615 a word
      occurs twice (Monaco is the capital of Monaco), so that a search which leaves out the three
      given words cannot find the fourth.
    - ``zh``: 953 questions in 3 categories (Chen, Xu, Liu, Sun, Luan 2015, IJCAI).

    Args:
        root: holds ``word-analogy/questions-words.txt``, ``hungarian/questions-words-hu.txt`` or
            ``cwe-chinese/analogy.txt``.
        language: ``en``, ``hu`` or ``zh``.

    Returns:
        The columns ``category``, ``a``, ``b``, ``c`` and ``d``: a is to b as c is to d.

    Raises:
        MissingData: when the file is not there.
        BadInput: when the language is another, or, naming file and line, a row is malformed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "word-analogy").mkdir()
        ...     path = Path(folder, "word-analogy", "questions-words.txt")
        ...     _ = path.write_text(": capitals\nAthens Greece Baghdad Iraq\n")
        ...     read_analogies(Path(folder), "en")[0]
        {'category': 'capitals', 'a': 'Athens', 'b': 'Greece', 'c': 'Baghdad', 'd': 'Iraq'}
    """
    if language not in _ANALOGIES:
        raise BadInput(f"no analogies in language {language!r}; give {', '.join(_ANALOGIES)}")
    path = stored(root, _ANALOGIES[language])
    questions = _questions(path)
    if not questions:
        raise BadInput(f"{path}: no question in it; a line is four words, after ': category'")
    columns = dict(zip(("category", *"abcd"), zip(*questions, strict=True), strict=True))
    features = Features({name: Value("string") for name in columns})
    return Dataset.from_dict({n: list(c) for n, c in columns.items()}, features=features)


def _questions(path: Path) -> list[Sequence[str]]:
    category = ""
    questions: list[Sequence[str]] = []
    for place, line in intact(read_lines(path, UTF8), str(path)):
        words = line.split()
        if line.startswith(":"):
            category = line[1:].strip()
        elif words:
            if not category:
                raise BadInput(f"{place}: no category yet; a line ': name' comes first")
            if len(words) != 4:
                raise BadInput(f"{place}: {len(words)} words; a question has four")
            questions.append((category, *words))
    return questions


def _pairs(path: Path, highest: float) -> Dataset:
    rows = line_rows(path, ("word1", "word2", "score"), tabs)
    columns = {
        "word1": [row.text("word1") for row in rows],
        "word2": [row.text("word2") for row in rows],
        "score": [row.number("score", 0, highest) for row in rows],
    }
    features = Features(word1=Value("string"), word2=Value("string"), score=Value("float64"))
    return Dataset.from_dict(columns, features=features)
