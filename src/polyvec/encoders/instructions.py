"""Instructions before a text, as prompts that the model's folder keeps.

Instruction-tuned encoders read what is to be done before what it is to be done with. sentence-transformers calls the
part before a text a prompt, applies it in ``encode_query`` and ``encode_document``, and saves it with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from sentence_transformers import SentenceTransformer

from polyvec.errors import BadInput

KALM = "Instruct: {task} \n Query: {text}"
"""KaLM-Embedding-V2's (Zhao et al. 2025, arXiv:2506.20923), blanks on both sides of the line's end included."""

LG_ANNA = "Instruct: {task}\nQuery: {text}"
"""LG-ANNA-Embedding's (Choi et al. 2025, arXiv:2506.07438)."""

RETRIEVAL = "Given a query, retrieve documents that answer the query."
"""KaLM-Embedding-V2's one task for all retrieval and reranking."""


def instructed(task: str, text: str, template: str = KALM) -> str:
    r"""One text with its instruction.

    Args:
        task: what is to be done, in a sentence.
        text: the query.
        template: with ``{task}`` and ``{text}``.

    Example:
        >>> instructed("Find the intent", "my card is lost")
        'Instruct: Find the intent \n Query: my card is lost'
    """
    return instruction_prompt(task, template) + text


def instruction_prompt(task: str, template: str = KALM) -> str:
    """What stands before the text: a prompt in the sense of sentence-transformers.

    Args:
        task: what is to be done, in a sentence.
        template: with ``{task}``, and ``{text}`` at its end.

    Raises:
        BadInput: when the template has no ``{text}`` at its end or no ``{task}``.
    """
    before, _, after = template.partition("{text}")
    if after or not template.endswith("{text}") or "{task}" not in before:
        raise BadInput(f"template {template!r}: give one with {{task}} that ends in {{text}}")
    return before.replace("{task}", task)


def with_instructions(
    model: SentenceTransformer,
    query: str = RETRIEVAL,
    *,
    symmetric: bool = False,
    tasks: Mapping[str, str] | None = None,
    template: str = KALM,
) -> SentenceTransformer:
    """Store instructions in a model: ``encode_query`` puts the task before a query, documents stay as they are.

    Args:
        model: is not changed.
        query: the task of queries.
        symmetric: put it before documents as well, as tasks want whose two sides are alike.
        tasks: further ones by name, for ``encode(texts, prompt_name=NAME)``.
        template: see `instruction_prompt`.

    Returns:
        A model whose folder keeps the prompts; plain sentence-transformers applies them too.

    Raises:
        BadInput: see `instruction_prompt`.
    """
    found = deepcopy(model)
    first = instruction_prompt(query, template)
    found.prompts = {
        **{name: instruction_prompt(task, template) for name, task in (tasks or {}).items()},
        "query": first,
        "document": first if symmetric else "",
    }
    return found
