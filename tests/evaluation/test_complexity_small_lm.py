import numpy as np
import pytest

from polyvec.evaluation.complexity_small_lm import _Reader, small_lm_error
from polyvec.evaluation.complexity_tasks import (
    ClassificationTask,
    PairTask,
    RetrievalTask,
    SimilarityTask,
    SummarizationTask,
)

WORDS = ("money", "send", "balance", "show", "same", "different", "label", "text", "answer")


@pytest.fixture(scope="module")
def language_model():
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    known = {word: n for n, word in enumerate(["[UNK]", *WORDS, *"012345abcd"])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(known),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=64,
                initializer_range=0.5,
            )
        )
    return model, PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def test_likelihoods_are_those_of_reading_all_at_once(language_model):
    import torch

    model, tokenizer = language_model
    found = _Reader(model, tokenizer).after("send money", ["balance", "show same a b", "d"])
    for text, own in zip(["balance", "show same a b", "d"], found, strict=True):
        prompt, rest = (
            tokenizer(part, add_special_tokens=False)["input_ids"] for part in ("send money", text)
        )
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + rest])).logits[0].log_softmax(-1)
        wanted = [float(logits[len(prompt) - 1 + n, token]) for n, token in enumerate(rest)]
        np.testing.assert_allclose(own, wanted, atol=1e-5)


def test_every_kind_of_question_gets_an_answer(language_model):
    tasks = [
        ClassificationTask(["send money", "show balance"], ["send", "show"]),
        PairTask(["send a", "show b"], ["send a", "money"], [True, False]),
        SimilarityTask(["send", "show", "a"], ["send", "money", "b"], [5, 1, 2]),
        RetrievalTask(["money", "balance"], ["send money", "show balance", "a"], [{0}, {1}]),
        SummarizationTask(["send money"], [["money", "b"]], [[1.0, 0.0]]),
    ]
    for task in tasks:
        found = small_lm_error(task, *language_model)
        assert 0 <= found.mean <= 1
        assert found.unparsable == 0
        assert found.mean == small_lm_error(task, *language_model).mean


def test_a_prompt_longer_than_the_model_is_cut(language_model):
    task = ClassificationTask(["money " * 500, "a"], ["send", "show"])
    assert 0 <= small_lm_error(task, *language_model).mean <= 1
