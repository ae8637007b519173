"""Named entities from frozen token vectors: a linear or BiLSTM head, entity F1.

What a model's token vectors know is asked with the smallest head that can answer: one linear layer
for each word alone (as in Liu, Gardner, Belinkov, Peters, Smith 2019: Linguistic Knowledge and
Transferability of Contextual Representations, arXiv:1903.08855), or a bidirectional LSTM over the
sentence. The model itself is not trained. Entities count when their span and type are both right, as
seqeval counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTask
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput

Head = Literal["linear", "bilstm"]
_IGNORED = -100
_HIDDEN = 128
_BATCH = 32
_EPOCHS = 20
_LEARNING_RATE: dict[Head, float] = {"linear": 2e-2, "bilstm": 5e-3}


class AbsTaskTagging(AbsTask):
    """An mteb task that learns a head on ``train`` and judges it on the evaluated split.

    ``dataset`` holds splits with the columns ``tokens`` and ``tags`` (BIO).

    Attributes:
        head: ``linear`` or ``bilstm``.
        max_train: most sentences that the head learns from, drawn with the task's seed.
        max_judged: most sentences that are judged.
        train_split: name of the split to learn from.
    """

    abstask_prompt = "Find the names in the sentence."
    head: Head = "linear"
    max_train: int = 2000
    max_judged: int = 2000
    train_split: str = "train"

    def evaluate(self, model: Any, split: str = "test", *_: Any, **settings: Any) -> dict[str, Any]:
        """Scores of the one subset that a tagging task has."""
        self.load_data()
        scores = self._evaluate_subset(
            model, self.dataset, hf_split=split, hf_subset="default", **settings
        )
        self._add_main_score(scores)
        return {"default": scores}

    def _evaluate_subset(
        self,
        model: Any,
        data_split: DatasetDict,
        *,
        hf_split: str,
        hf_subset: str,
        prediction_folder: Path | None = None,
        **_: Any,
    ) -> dict[str, float]:
        learned = _sample(data_split[self.train_split], self.max_train, self.seed)
        judged = _sample(data_split[hf_split], self.max_judged, self.seed)
        tags = sorted({tag for sentence in learned["tags"] for tag in sentence})
        number = {tag: place for place, tag in enumerate(tags)}
        targets = [torch.tensor([number[tag] for tag in row]) for row in learned["tags"]]
        head = train_head(
            word_vectors(model.model, learned["tokens"]), targets, len(tags), self.head, self.seed
        )
        found = predict_tags(head, word_vectors(model.model, judged["tokens"]))
        predicted = [[tags[place] for place in row] for row in found]
        if prediction_folder:
            count = word_counts if self.metadata.main_score == "accuracy" else entity_counts
            counts = count(judged["tags"], predicted).tolist()
            self._save_task_predictions(
                counts, model, prediction_folder, hf_split=hf_split, hf_subset=hf_subset
            )
        return tag_scores(judged["tags"], predicted)

    def _calculate_descriptive_statistics_from_split(self, split: str, **_: Any) -> Any:
        rows = self.dataset[split]  # type: ignore[index]
        return {"num_samples": len(rows), "number_of_words": sum(map(len, rows["tokens"]))}


def word_vectors(
    model: SentenceTransformer, sentences: Sequence[Sequence[str]]
) -> list[torch.Tensor]:
    """A frozen vector for each word of each sentence.

    A word's vector is the mean of its pieces' in the sentence. Models whose first module reads no sentence word by
    word (word vectors, hashed bags) give the word's vector on its own. Words beyond the model's longest input get
    zeros.

    Args:
        model: a sentence-transformers model.
        sentences: words.

    Returns:
        For each sentence shape (words, dimensions), float32 on the CPU.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if getattr(tokenizer, "is_fast", False) and hasattr(model[0], "auto_model"):
        return _in_context(model, tokenizer, sentences)
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence))
    known = dict(zip(words, torch.from_numpy(encode(model, words)), strict=True))
    return [torch.stack([known[word] for word in sentence]) for sentence in sentences]


def train_head(
    vectors: Sequence[torch.Tensor],
    targets: Sequence[torch.Tensor],
    tags: int,
    kind: Head = "linear",
    seed: int = 0,
) -> nn.Module:
    """Learn tags from frozen word vectors.

    Args:
        vectors: for each sentence shape (words, dimensions).
        targets: for each sentence the tags' numbers, shape (words,).
        tags: how many there are.
        kind: ``linear`` or ``bilstm`` (128 units a direction).
        seed: of the head's start and the batches' order.

    Returns:
        A module from (sentences, words, dimensions) to (sentences, words, tags). It normalises its input by the mean
        and deviation of the training words, so that models of different scale learn alike.

    Raises:
        BadInput: when ``kind`` is unknown.
    """
    if kind not in ("linear", "bilstm"):
        raise BadInput(f"head {kind!r}: give linear or bilstm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = _Head(torch.cat(list(vectors)), tags, kind)
        optimizer = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE[kind], weight_decay=0.01)
        steps = _EPOCHS * -(-len(vectors) // _BATCH)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(vectors)).split(_BATCH):
                scores = head(_padded([vectors[row] for row in rows.tolist()], 0.0))
                wanted = _padded([targets[row] for row in rows.tolist()], _IGNORED)
                loss = nn.functional.cross_entropy(
                    scores.flatten(0, 1), wanted.flatten(), ignore_index=_IGNORED
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return head.eval()


def predict_tags(head: nn.Module, vectors: Sequence[torch.Tensor]) -> list[list[int]]:
    """The best tag of each word.

    Args:
        head: of `train_head`.
        vectors: for each sentence shape (words, dimensions).
    """
    found: list[list[int]] = []
    with torch.inference_mode():
        for start in range(0, len(vectors), _BATCH):
            block = vectors[start : start + _BATCH]
            best = head(_padded(block, 0.0)).argmax(-1)
            found += [
                row[: len(sentence)].tolist() for row, sentence in zip(best, block, strict=True)
            ]
    return found


def entity_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> NDArray[np.int64]:
    """Right, predicted and true entities of each sentence.

    Returns:
        Shape (sentences, 3); sums over any sentences give their F1: 2 x right / (predicted + true).

    Example:
        >>> entity_counts([["B-PER", "I-PER", "O"]], [["B-PER", "O", "B-LOC"]]).tolist()
        [[0, 2, 1]]
    """
    from seqeval.metrics.sequence_labeling import get_entities

    rows = []
    for true, found in zip(gold, predicted, strict=True):
        expected, got = set(get_entities(list(true))), set(get_entities(list(found)))
        rows.append((len(expected & got), len(got), len(expected)))
    return np.array(rows, np.int64).reshape(-1, 3)


def word_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> NDArray[np.int64]:
    """The same for words: those tagged rightly, all, and all; the formula of F1 then gives accuracy.

    Example:
        >>> word_counts([["NOUN", "VERB"]], [["NOUN", "NOUN"]]).tolist()
        [[1, 2, 2]]
    """
    right = [sum(map(str.__eq__, true, found)) for true, found in zip(gold, predicted, strict=True)]
    sizes = [len(true) for true in gold]
    return np.array([right, sizes, sizes], np.int64).T


def tag_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 over all entities, as seqeval's micro average, and the share of words tagged rightly."""
    right, found, true = entity_counts(gold, predicted).sum(axis=0).tolist()
    words = word_counts(gold, predicted).sum(axis=0).tolist()
    return {
        "f1": 2 * right / max(found + true, 1),
        "precision": right / max(found, 1),
        "recall": right / max(true, 1),
        "accuracy": words[0] / max(words[1], 1),
    }


class _Head(nn.Module):
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, words: torch.Tensor, tags: int, kind: Head) -> None:
        super().__init__()
        self.register_buffer("mean", words.mean(0))
        self.register_buffer("scale", words.std(0).clamp_min(1e-6))
        width = words.shape[1]
        self.context = (
            nn.LSTM(width, _HIDDEN, batch_first=True, bidirectional=True)
            if kind == "bilstm"
            else None
        )
        self.tags = nn.Linear(width if self.context is None else 2 * _HIDDEN, tags)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        words = (words - self.mean) / self.scale
        if self.context is not None:
            words = self.context(words)[0]
        scores: torch.Tensor = self.tags(words)
        return scores


def _in_context(
    model: SentenceTransformer, tokenizer: Any, sentences: Sequence[Sequence[str]]
) -> list[torch.Tensor]:
    order = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        batch = tokenizer(
            [list(sentences[row]) for row in rows],
            is_split_into_words=True,
            padding=True,
            truncation=True,
            max_length=model.max_seq_length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            vectors = model[0](dict(batch.to(model.device)))["token_embeddings"].float().cpu()
        for place, row in enumerate(rows):
            found[row] = _by_word(vectors[place], batch.word_ids(place), len(sentences[row]))
    return [found[place] for place in range(len(sentences))]


def _by_word(pieces: torch.Tensor, words: Sequence[int | None], count: int) -> torch.Tensor:
    """Means of the pieces of each word."""
    held = torch.tensor([place for place, word in enumerate(words) if word is not None])
    owner = torch.tensor([word for word in words if word is not None])
    sums = torch.zeros(count, pieces.shape[1]).index_add_(0, owner, pieces[held])
    sizes = torch.bincount(owner, minlength=count).clamp_min(1)
    return sums / sizes[:, None]


def _padded(rows: Sequence[torch.Tensor], value: float) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _sample(rows: Dataset, most: int, seed: int) -> Dataset:
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return rows.select(sorted(chosen.tolist()))
