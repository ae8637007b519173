"""Show an encoder examples of its task before the query: LG-ANNA-Embedding (Choi et al. 2025, arXiv:2506.07438).

Examples and instruction stand before the query as one prompt, and the vector is the state of the end token. The
punctuation is LG-ANNA's; what its report leaves open is done as in bge-en-icl (Li et al. 2024, arXiv:2409.15700): in
training every query has 0 to 5 examples, drawn from the other rows of its batch, so that an encoder trained so works
without any. There is no class for this: the prompt is one of sentence-transformers, which the model's folder keeps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from copy import deepcopy
from itertools import takewhile
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sklearn.cluster import KMeans
from transformers import DynamicCache, PreTrainedTokenizerBase

from polyvec.encoders.bidirectional import sees_the_future, transformer_of
from polyvec.encoders.instructions import LG_ANNA, instructed, instruction_prompt
from polyvec.errors import BadInput

EXAMPLE_TOKENS = 256
"""Tokens that each side of an example is cut to, as in bge-en-icl."""

MOST = 5
Strategy = Literal["medoid", "random", "nearest"]
_WORD = re.compile(r"\w+")


class Example(NamedTuple):
    """A query of the task and what answers it: a text, or for clusterings the name of a category."""

    query: str
    answer: str


def in_context_prompt(
    task: str,
    examples: Sequence[Example] = (),
    *,
    template: str = LG_ANNA,
    tokenizer: PreTrainedTokenizerBase | None = None,
    example_tokens: int = EXAMPLE_TOKENS,
) -> str:
    """What stands before a query: examples, then the instruction.

    Args:
        task: what is to be done, in a sentence.
        examples: of the same task, in the order in which they are shown.
        template: with ``{task}``, and ``{text}`` at its end.
        tokenizer: cuts each side of an example to ``example_tokens`` tokens; None cuts nothing.
        example_tokens: at most.

    Raises:
        BadInput: when the template lacks ``{text}`` at its end or ``{task}``.

    Example:
        >>> print(in_context_prompt("Find the intent", [Example("where is my card", "card arrival")]) + "I lost it")
        Instruct: Find the intent
        Query: where is my card
        card arrival
        <BLANKLINE>
        Instruct: Find the intent
        Query: I lost it
    """
    shown = [
        f"{instructed(task, _cut(query, tokenizer, example_tokens), template)}\n"
        f"{_cut(answer, tokenizer, example_tokens)}\n\n"
        for query, answer in examples
    ]
    return "".join(shown) + instruction_prompt(task, template)


def with_examples(
    model: SentenceTransformer,
    task: str,
    examples: Sequence[Example] = (),
    *,
    template: str = LG_ANNA,
    example_tokens: int = EXAMPLE_TOKENS,
    symmetric: bool = False,
) -> SentenceTransformer:
    """Store examples and instruction in a model: ``encode_query`` shows them before every query.

    Args:
        model: with a tokenizer; best one that was trained on prompts of `batch_prompts`. It is not changed.
        task: what is to be done, in a sentence.
        examples: 0 to 5 of the same task, for instance from `choose_examples`.
        template: see `in_context_prompt`.
        example_tokens: tokens of each side of an example, at most.
        symmetric: show them before documents as well, as tasks want whose two sides are alike.

    Returns:
        A model whose folder keeps the prompt; plain sentence-transformers applies it too.

    Raises:
        BadInput: when there are too many examples, or they leave less than a quarter of what the model reads to the
            query; the sentence names the longest.
    """
    if len(examples) > MOST:
        raise BadInput(f"{len(examples)} examples: give at most {MOST}")
    found = deepcopy(model)
    prompt = in_context_prompt(
        task,
        examples,
        template=template,
        tokenizer=found.tokenizer,
        example_tokens=example_tokens,
    )
    room, taken = found.max_seq_length, _length(found.tokenizer, prompt)
    if room is not None and examples and taken > room * 3 // 4:
        lengths = [_length(found.tokenizer, " ".join(example)) for example in examples]
        longest = int(np.argmax(lengths))
        raise BadInput(
            f"examples: with the instruction they take {taken} of the model's {room} tokens; shorten or drop some "
            f"(the longest is number {longest + 1}, {lengths[longest]} tokens), or raise max_seq_length"
        )
    found.prompts = {**found.prompts, "query": prompt, "document": prompt if symmetric else ""}
    return found


def batch_prompts(
    examples: Sequence[Example],
    tasks: Sequence[str],
    *,
    shown: tuple[int, int] = (0, MOST),
    template: str = LG_ANNA,
    tokenizer: PreTrainedTokenizerBase | None = None,
    example_tokens: int = EXAMPLE_TOKENS,
    seed: int = 0,
) -> list[str]:
    """Queries of a training batch, each with examples drawn from the batch's other rows of its task.

    An example never holds the query's own answer or query, compared by their words: the answer would be in the prompt.

    Args:
        examples: query and answer of each row.
        tasks: what each row is to do, in a sentence; only rows of the same one are examples for each other.
        shown: fewest and most examples; the number is drawn anew for each query, all alike likely.
        template: see `in_context_prompt`.
        tokenizer: see `in_context_prompt`.
        example_tokens: see `in_context_prompt`.
        seed: of what is drawn.

    Returns:
        One text a row, the query with all that stands before it.

    Raises:
        BadInput: when the numbers of rows differ or ``shown`` is no range.
    """
    if len(examples) != len(tasks):
        raise BadInput(f"{len(examples)} examples and {len(tasks)} tasks: give one task a row")
    if not 0 <= shown[0] <= shown[1]:
        raise BadInput(f"shown {shown}: give the fewest and the most examples, such as (0, 5)")
    draw = random.Random(seed)
    words = [(_words(query), _words(answer)) for query, answer in examples]
    found = []
    for row, (example, task) in enumerate(zip(examples, tasks, strict=True)):
        others = [
            other
            for other in range(len(examples))
            if tasks[other] == task and not set(words[other]) & set(words[row])
        ]
        wanted = min(draw.randint(*shown), len(others))
        drawn = [examples[other] for other in draw.sample(others, wanted)]
        prompt = in_context_prompt(
            task, drawn, template=template, tokenizer=tokenizer, example_tokens=example_tokens
        )
        found.append(prompt + example.query)
    return found


def choose_examples(
    model: SentenceTransformer,
    pool: Sequence[Example],
    n: int = MOST,
    *,
    strategy: Strategy = "medoid",
    query: str | None = None,
    seed: int = 0,
) -> list[Example]:
    """Choose the examples to show.

    Args:
        model: embeds their queries.
        pool: training rows of the task.
        n: how many.
        strategy: ``medoid`` takes the rows nearest to the centres of n clusters (k-means), a safe choice for all
            queries; ``random`` draws; ``nearest`` takes the rows most like ``query``, the nearest last.
        query: for ``nearest``; a row with the same words is left out.
        seed: of clusters and draws.

    Raises:
        BadInput: when the pool is smaller than n, or ``nearest`` has no query.
    """
    if strategy not in get_args(Strategy):
        raise BadInput(f"strategy {strategy!r}: give one of {', '.join(get_args(Strategy))}")
    if not 0 < n <= len(pool):
        raise BadInput(f"{n} examples of {len(pool)}: give 1 to {len(pool)}")
    if strategy == "random":
        return random.Random(seed).sample(list(pool), n)
    if strategy == "nearest":
        return _nearest(model, pool, n, query)
    vectors = _embed(model, [example.query for example in pool])
    clusters = KMeans(n, n_init=4, random_state=seed).fit(vectors)
    distances = clusters.transform(vectors)
    chosen: list[int] = []
    for cluster in range(n):
        order = np.argsort(distances[:, cluster], kind="stable")
        chosen.append(next(int(row) for row in order if row not in chosen))
    return [pool[row] for row in chosen]


def encode_after_prompt(
    model: SentenceTransformer,
    texts: Sequence[str],
    *,
    prompt_name: str = "query",
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Encode texts behind a long prompt whose states are computed once.

    A causal token's state does not change with what follows it, so that the states of a prompt serve all texts: this
    gives what ``encode(texts, prompt_name=...)`` gives, for the work of the texts alone.

    Args:
        model: a causal decoder with last-token pooling, as `decoder_encoder` makes it, and a prompt of that name.
        texts: are cut so that prompt, text and end token fit what the model reads.
        prompt_name: which prompt.
        batch_size: texts at a time.

    Returns:
        (texts, dimensions), normalised.

    Raises:
        BadInput: when the model has no such prompt, sees whole texts, or pools otherwise.
    """
    body = _causal_body(model)
    prompt = model.prompts.get(prompt_name)
    if not prompt:
        raise BadInput(
            f"prompt {prompt_name!r}: the model has none of that name; see with_examples"
        )
    tokenizer = model.tokenizer
    device = next(body.parameters()).device
    room = model.max_seq_length or body.config.max_position_embeddings
    whole = [_within(_ids(tokenizer, prompt + text, special=True), room) for text in texts]
    start = _shared_start([_ids(tokenizer, prompt, special=False), *(ids[:-1] for ids in whole)])
    if not start:
        raise BadInput(
            f"prompt {prompt_name!r}: none of its tokens stands before every text; use encode"
        )
    ends = [ids[len(start) :] for ids in whole]
    order = sorted(range(len(texts)), key=lambda row: len(ends[row]))
    vectors = np.empty((len(texts), body.config.hidden_size), dtype=np.float32)
    with torch.no_grad():
        first = body(input_ids=torch.tensor([start], device=device), use_cache=True)
        for at in range(0, len(order), batch_size):
            rows = order[at : at + batch_size]
            states = _continued(
                body, first.past_key_values, [ends[row] for row in rows], len(start)
            )
            vectors[rows] = states.float().cpu().numpy()
    return vectors


def _continued(body: Any, past: DynamicCache, ends: list[list[int]], before: int) -> torch.Tensor:
    """Normalised states of the last tokens of texts that go on where the prompt ended."""
    device = next(body.parameters()).device
    lengths = torch.tensor([len(end) for end in ends], device=device)
    ids = torch.zeros(len(ends), int(lengths.max()), dtype=torch.long, device=device)
    mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
    ids[mask] = torch.tensor([token for end in ends for token in end], device=device)
    cache = deepcopy(past)
    cache.batch_repeat_interleave(len(ends))
    seen = torch.cat([mask.new_ones(len(ends), before), mask], dim=1)
    found = body(
        input_ids=ids, attention_mask=seen.long(), past_key_values=cache, use_cache=True
    ).last_hidden_state
    last = found[torch.arange(len(ends), device=device), lengths - 1]
    return torch.nn.functional.normalize(last, dim=-1)


def _within(ids: list[int], room: int) -> list[int]:
    """Cut before the end token, as the tokenizer does."""
    return ids if len(ids) <= room else [*ids[: room - 1], ids[-1]]


def _shared_start(texts: Sequence[list[int]]) -> list[int]:
    """Tokens that all begin with: the prompt but for its end, which may be spelt together with a text's beginning."""
    least, most = min(texts), max(texts)
    return [
        token
        for token, _ in takewhile(lambda pair: pair[0] == pair[1], zip(least, most, strict=False))
    ]


def _causal_body(model: SentenceTransformer) -> Any:
    body = transformer_of(model)
    if not any(getattr(module, "pooling_mode", None) == "lasttoken" for module in model):
        raise BadInput("the states of a prompt serve last-token pooling only; use encode")
    if sees_the_future(model):
        raise BadInput("the states of a prompt change with the text in this model; use encode")
    return body.eval()


def _nearest(
    model: SentenceTransformer, pool: Sequence[Example], n: int, query: str | None
) -> list[Example]:
    if query is None:
        raise BadInput("strategy 'nearest': give the query that the examples are to be near to")
    others = [example for example in pool if _words(example.query) != _words(query)]
    vectors = _embed(model, [query, *(example.query for example in others)])
    order = np.argsort(vectors[1:] @ vectors[0], kind="stable")
    return [others[row] for row in order[-n:]]


def _embed(model: SentenceTransformer, texts: Sequence[str]) -> NDArray[np.float32]:
    return np.asarray(
        model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), np.float32
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


def _cut(text: str, tokenizer: PreTrainedTokenizerBase | None, tokens: int) -> str:
    if tokenizer is None:
        return text
    ids = _ids(tokenizer, text, special=False)
    return text if len(ids) <= tokens else str(tokenizer.decode(ids[:tokens]))


def _length(tokenizer: Any, text: str) -> int:
    return len(_ids(tokenizer, text, special=False))


def _ids(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=special, verbose=False).input_ids
    return found
