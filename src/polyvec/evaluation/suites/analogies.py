"""a is to b as c is to … : analogies by adding and subtracting vectors.

Mikolov, Chen, Corrado, Dean (2013): Efficient Estimation of Word Representations in Vector Space,
arXiv:1301.3781. Their rule (3CosAdd): among all words but the three given, the one whose unit vector
is nearest to b - a + c. The words searched are those of the questions, so that models with and
without a vocabulary of their own are asked the same; published values search larger vocabularies and
are lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from mteb.abstasks import AbsTask
from numpy.typing import NDArray

from polyvec.encoders.encoding import encode

_BLOCK = 1024


class AbsTaskAnalogy(AbsTask):
    """An mteb task of questions with the columns ``category``, ``a``, ``b``, ``c`` and ``d``."""

    abstask_prompt = "Find the word that completes the analogy."

    def _evaluate_subset(
        self,
        model: Any,
        data_split: Dataset,
        *,
        hf_split: str,
        hf_subset: str,
        prediction_folder: Path | None = None,
        **_: Any,
    ) -> dict[str, float]:
        questions = [data_split[column] for column in "abcd"]
        words = list(dict.fromkeys(word for column in questions for word in column))
        number = {word: place for place, word in enumerate(words)}
        asked = np.array([[number[word] for word in column] for column in questions])
        right = solve(encode(model.model, words), asked)
        if prediction_folder:
            self._save_task_predictions(
                right.tolist(), model, prediction_folder, hf_split=hf_split, hf_subset=hf_subset
            )
        return {"accuracy": float(right.mean()), **_by_category(data_split["category"], right)}

    def _calculate_descriptive_statistics_from_split(self, split: str, **_: Any) -> Any:
        return {"num_samples": len(self.dataset[split])}  # type: ignore[index]


def solve(vectors: NDArray[np.float32], questions: NDArray[np.intp]) -> NDArray[np.float64]:
    """Which questions 3CosAdd answers.

    Args:
        vectors: a vector for each word, shape (words, dimensions).
        questions: numbers of the words a, b, c and the right answer d, shape (4, questions).

    Returns:
        1 where the nearest word is d, else 0; shape (questions,).

    Example:
        >>> import numpy as np
        >>> man, king, woman, queen = np.array([[1, 0], [1, 1], [-1, 0], [-1, 1.2]], np.float32)
        >>> solve(np.stack([man, king, woman, queen]), np.array([[0], [1], [2], [3]]))
        array([1.])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-12)
    right = []
    for start in range(0, questions.shape[1], _BLOCK):
        a, b, c, d = questions[:, start : start + _BLOCK]
        scores = (unit[b] - unit[a] + unit[c]) @ unit.T
        rows = np.arange(len(a))
        for given in (a, b, c):
            scores[rows, given] = -np.inf
        right.append(scores.argmax(1) == d)
    return np.concatenate(right).astype(np.float64)


def _by_category(categories: Sequence[str], right: NDArray[np.float64]) -> dict[str, float]:
    names = np.array(list(categories))
    return {name: float(right[names == name].mean()) for name in dict.fromkeys(categories)}
