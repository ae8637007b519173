"""A sentence-transformers model as mteb sees it, encoding by token budget."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.models.abs_encoder import get_prompt_name
from mteb.types import PromptType
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.encoders.encoding import encode

_TASKS: dict[PromptType | None, Literal["query", "document"] | None] = {
    None: None,
    PromptType.query: "query",
    PromptType.document: "document",
}


class TokenBatchedEncoder(SentenceTransformerEncoderWrapper):
    """What mteb encodes with: the model's own vectors and prompts, computed by `polyvec.encode`.

    Prompts are chosen by mteb's own rules. A text that several subsets of a task share is encoded once.

    Args:
        model: any sentence-transformers model.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__(model)
        self._known: dict[tuple[str | None, str | None], dict[str, NDArray[np.float32]]] = {}

    def forget(self) -> None:
        """Let go of the vectors of the task before."""
        self._known.clear()

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        prompt_type: PromptType | None = None,
        **_: Any,
    ) -> NDArray[np.float32]:
        """Vectors of the texts in mteb's batches.

        Args:
            inputs: batches with a list of strings under ``text``.
            task_metadata: of the task; chooses the prompt.
            prompt_type: whether these are queries or documents.

        Returns:
            Shape (number of texts, dimensions).
        """
        texts = [text for batch in inputs for text in batch["text"]]
        prompts = self.model_prompts or {}
        name = get_prompt_name(prompts, task_metadata, prompt_type) if prompts else None
        prompt = prompts.get(name) if name else None
        task = _TASKS[prompt_type]
        known = self._known.setdefault((task, prompt), {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, encode(self.model, new, prompt=prompt, task=task), strict=True))
        return np.stack([known[text] for text in texts])
