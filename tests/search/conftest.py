"""What tests of search share: documents, and models that are bags of words, so that they cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import WORDS

MODEL_DIMENSIONS = 16

PAGES = {
    "tea.md": "# Tea\n\nBoil water, wait.\n\n## Green\n\nGreen wants cooler water than the storm.\n",
    "tables.md": "# Tables\n\nRead a file with read_csv.\n\n## Joining\n\nMerge two rows on one key.\n",
    "boats.md": "# Boats\n\nA boat on the lake, a ship at sea.\n",
}


def bag_of_words(folder: Path, seed: int = 0) -> Path:
    """Folder of a model that averages a random vector for each of the tests' words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["-", *WORDS.split()]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="-"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(len(vocabulary), MODEL_DIMENSIONS, generator=generator)
    table[0] = 0  # a word that is unknown says nothing
    static = StaticEmbedding(tokenizer, embedding_weights=table.numpy())
    model = SentenceTransformer(modules=[static], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag_of_words(tmp_path_factory.mktemp("models") / "bag")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag_of_words(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, page in PAGES.items():
        (folder / name).write_text(page)
    return folder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Called, it returns the texts that were encoded since it was called last."""
    from polyvec.search import index

    texts: list[str] = []
    encode = index.encode

    def counting(model, given, **options):
        texts.extend(given)
        return encode(model, given, **options)

    def since_last() -> list[str]:
        found = list(texts)
        texts.clear()
        return found

    monkeypatch.setattr(index, "encode", counting)
    return since_last
