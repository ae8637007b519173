"""How often a solver gets a data set's own questions wrong.

The first complexity measure of Tang and Yang 2024 (arXiv:2409.18511), there with ChatGPT as the solver. Any function
from a prompt to a reply will do here. An answer that cannot be read is wrong, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from polyvec.evaluation.complexity_questions import (
    LabelChoice,
    PassageChoice,
    Question,
    Ranking,
    Rating,
    questions_of,
)
from polyvec.evaluation.complexity_tasks import BEST_RATING, Task
from polyvec.evaluation.complexity_values import (
    ComplexityValues,
    Floats,
    mean_values,
    redrawn_values,
)
from polyvec.evaluation.rank_correlation import spearman

Solver = Callable[[str], str]
Answer = int | float | tuple[float, ...] | None
"""Position of the choice; rating; a value for each summary; None where there is no answer."""
SAMPLE = 500
"""Questions of a data set; the paper gives no number."""


def solver_error(
    task: Task, solver: Solver, sample: int = SAMPLE, seed: int = 0
) -> ComplexityValues:
    """Share of a data set's questions that a solver gets wrong; for ratings and ranks 1 minus Spearman's correlation.

    Args:
        task: the data set.
        solver: gets a prompt and returns its reply; called once a question.
        sample: most questions to ask.
        seed: of the questions drawn, and of the candidates shown.

    Returns:
        An error for each question, from 0 (right) to 1 (wrong). Similarity is one question to all pairs: its mean is
        ``1 - max(0, Spearman)``, and each pair's value is what it adds to ``1 - Spearman``. ``unparsable`` counts the
        replies that could not be read; such a choice is wrong, such a rating the farthest from people's, and
        such a ranking has error 1.

    Example:
        >>> from polyvec.evaluation.complexity_tasks import ClassificationTask
        >>> task = ClassificationTask(["send 5 dollars", "what do I own?"], ["transfer", "balance"])
        >>> found = solver_error(task, lambda prompt: "Transfer." if "dollars" in prompt else "No idea")
        >>> found.mean, found.unparsable
        (0.5, 1)
    """
    questions = questions_of(task, sample, seed)
    return judged(
        questions, [question.read(solver(question.prompt)) for question in questions], seed
    )


def judged(
    questions: Sequence[Question], answers: Sequence[Answer], seed: int = 0
) -> ComplexityValues:
    """Errors of answers to questions.

    Args:
        questions: of one task.
        answers: to each, None where there is none.
        seed: of the bootstrap.
    """
    unparsable = sum(answer is None for answer in answers)
    ratings = [question for question in questions if isinstance(question, Rating)]
    if ratings:
        gold = np.array([question.score for question in ratings])
        return rating_error(_completed(answers, gold), gold, unparsable, seed)
    values = [_error(*pair) for pair in zip(questions, answers, strict=True)]
    return mean_values(values, unparsable=unparsable, seed=seed)


def rating_error(
    given: Floats, gold: Floats, unparsable: int = 0, seed: int = 0
) -> ComplexityValues:
    """``1 - max(0, Spearman)`` of ratings, for which all pairs together are one question.

    Args:
        given: ratings, shape ``(pairs,)``.
        gold: what people say, of the same shape.
        unparsable: handed on.
        seed: of the bootstrap, which redraws pairs.

    Returns:
        The value of a pair is what it adds to ``1 - Spearman``: their mean is that number, before negative correlations
        are cut to an error of 1.
    """

    def statistic(drawn: NDArray[np.intp]) -> Floats:
        found = np.nan_to_num(spearman(given[drawn], gold[drawn]))
        return np.asarray(1 - np.maximum(0.0, found), dtype=float)

    return redrawn_values(
        1 - _standard_ranks(given) * _standard_ranks(gold),
        statistic,
        unparsable=unparsable,
        seed=seed,
    )


def ranking_error(given: Sequence[float], gold: Sequence[float]) -> float:
    """``1 - max(0, Spearman)`` of the ranking of a text's summaries.

    Example:
        >>> ranking_error([3, 2, 1], [0.9, 0.2, 0.4])
        0.5
    """
    found = spearman(np.array([given], dtype=float), np.array([gold], dtype=float))
    return float(1 - max(0.0, np.nan_to_num(found[0])))


def _error(question: Question, answer: Answer) -> float:
    match question, answer:
        case ((LabelChoice() | PassageChoice()), int()):
            return float(answer != question.answer)
        case Ranking(), tuple():
            return ranking_error(answer, question.scores)
        case _:
            return 1.0


def _completed(answers: Sequence[Answer], gold: Floats) -> Floats:
    """Ratings, where there is none the end of the scale that is farther from what people say."""
    middle = (gold.min() + gold.max()) / 2
    worst = np.where(gold > middle, 0.0, BEST_RATING)
    return np.array(
        [
            float(answer) if isinstance(answer, int | float) else wrong
            for answer, wrong in zip(answers, worst, strict=True)
        ]
    )


def _standard_ranks(values: Floats) -> Floats:
    """Ranks with mean 0 and mean square 1; zeros where all values are the same."""
    ranks = rankdata(values) - (len(values) + 1) / 2
    size = np.sqrt((ranks**2).mean())
    return np.asarray(ranks / size if size > 0 else ranks, dtype=float)
