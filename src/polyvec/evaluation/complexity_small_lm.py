"""How often a small language model gets a data set's questions wrong, by what it finds likely.

A stand-in for the first measure of Tang and Yang 2024 (arXiv:2409.18511), reported under its own name: this is not
ChatGPT's error. A small model does not answer prompts reliably, so it is asked for likelihoods: of each label after
the prompt, of each rating from 0 to 5, and of the query after each passage (query likelihood, Ponte and Croft 1998;
Sachan et al. 2022, arXiv:2204.07496).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from polyvec.evaluation.complexity_questions import (
    LabelChoice,
    PassageChoice,
    Question,
    Ranking,
    Rating,
    questions_of,
    shortened,
)
from polyvec.evaluation.complexity_solver import SAMPLE, Answer, judged
from polyvec.evaluation.complexity_tasks import BEST_RATING, Task
from polyvec.evaluation.complexity_values import ComplexityValues, Floats

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_RATINGS = tuple(str(rating) for rating in range(int(BEST_RATING) + 1))
_ROOM = 0.75
"""Share of the model's positions that a prompt may take."""


def small_lm_error(
    task: Task,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sample: int = SAMPLE,
    seed: int = 0,
) -> ComplexityValues:
    """Error of a causal language model that chooses what it finds most likely.

    Args:
        task: the data set.
        model: any causal language model of transformers, such as SmolLM2-135M; it is left on its device.
        tokenizer: of the model.
        sample: most questions to ask.
        seed: of the questions drawn, and of the candidates shown.

    Returns:
        As `polyvec.evaluation.complexity_solver.solver_error` has it; every question gets an answer. Labels compete
        by the mean log-likelihood of their tokens, so that long ones stand a chance; a rating is the mean over 0 to
        5, weighted by likelihood; summaries compete by their likelihood after the text.
    """
    questions = questions_of(task, sample, seed)
    reader = _Reader(model, tokenizer)
    return judged(questions, [_answer(question, reader) for question in questions], seed)


class _Reader:
    """Log-likelihoods of continuations, token by token."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        longest = getattr(model.config, "max_position_embeddings", None)
        self._longest = int(longest * _ROOM) if longest else None
        self._rest = longest - self._longest if longest and self._longest else None

    def after(self, prompt: str, continuations: Sequence[str]) -> list[Floats]:
        """Of each continuation of one prompt, which is read once."""
        import torch

        rows = [self._ids(f" {text}") for text in continuations]
        width = max(len(row) for row in rows)
        device = self._model.device
        with torch.inference_mode():
            given = torch.tensor([self._prompt(prompt)], device=device)
            read = self._model(input_ids=given, use_cache=True)
            cache = read.past_key_values
            cache.batch_repeat_interleave(len(rows))
            # What stands right of a continuation cannot change it, so any token will do there.
            tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=device)
            later = self._model(input_ids=tokens, past_key_values=cache, use_cache=True).logits
            first = read.logits[:, -1:].expand(len(rows), -1, -1)
            logits = torch.cat([first, later[:, :-1]], dim=1).float()
            found = logits.log_softmax(-1).gather(-1, tokens[:, :, None])[:, :, 0]
        known = found.double().cpu().numpy()
        return [known[number, : len(row)] for number, row in enumerate(rows)]

    def _prompt(self, prompt: str) -> list[int]:
        ids = self._tokenizer(prompt, add_special_tokens=True)["input_ids"]
        # The end of a prompt says what is wanted, so the beginning goes.
        kept: list[int] = ids if self._longest is None else ids[-self._longest :]
        return kept

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids if self._rest is None else ids[: self._rest]


def _answer(question: Question, reader: _Reader) -> Answer:
    match question:
        case LabelChoice():
            return _likeliest(reader.after(question.prompt, question.labels))
        case PassageChoice():
            prompts = [
                f"Passage: {shortened(text)}\n\nA question it answers:"
                for text in question.candidates
            ]
            return _likeliest([reader.after(prompt, [question.query])[0] for prompt in prompts])
        case Rating():
            total = np.array([own.sum() for own in reader.after(question.prompt, _RATINGS)])
            likely = np.exp(total - total.max())
            return float(likely @ np.arange(len(_RATINGS)) / likely.sum())
        case Ranking():
            prompt = f"Text: {shortened(question.text)}\n\nIn short:"
            return tuple(float(own.mean()) for own in reader.after(prompt, question.summaries))


def _likeliest(found: Sequence[Floats]) -> int:
    return int(np.argmax([own.mean() for own in found]))
