import torch

from polyvec.recipes import dupmae_start


def test_words_keep_their_vectors_and_any_word_can_be_spelled(tiny_model, monkeypatch) -> None:
    monkeypatch.setattr(dupmae_start, "load", lambda *_: tiny_model())
    whole = tiny_model()
    texts = ["a cat, a dog", "the dog and a cat"]
    found = dupmae_start.start(texts, layers=1, vocabulary=30, length=16)
    assert len(found.tokenizer) <= 30 < len(whole.tokenizer)
    assert found.tokenizer.pad_token_id == 0
    text = "a dog and the cat"
    assert found.tokenizer.tokenize(text) == text.split()
    assert found.tokenizer.unk_token_id not in found.tokenizer("to toad")["input_ids"]
    tables = [model[0].auto_model.embeddings.word_embeddings.weight for model in (found, whole)]
    numbers = [model.tokenizer(text)["input_ids"] for model in (found, whole)]
    assert torch.equal(tables[0][numbers[0]], tables[1][numbers[1]])
    vectors = [model[0](model.preprocess([text]))["token_embeddings"] for model in (found, whole)]
    assert vectors[0].shape == vectors[1].shape
    assert found.encode(text).shape == (32,)
