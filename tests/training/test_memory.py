from types import SimpleNamespace

import psutil
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.training.memory import FLOATS_PER_UNIT, SHARE, fits_in_memory


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes of memory are free."""
    return lambda size: monkeypatch.setattr(
        psutil, "virtual_memory", lambda: SimpleNamespace(available=size)
    )


def test_the_bound_worked_by_hand(tiny_model, free):
    # 2 layers · 32 units · 100 tokens · 16 numbers · 4 bytes = 409,600, half of what must be free.
    free(819_201)
    assert fits_in_memory(tiny_model(), 100)
    free(819_200)
    assert not fits_in_memory(tiny_model(), 100)


def test_a_few_tokens_fit_on_this_machine(tiny_model):
    assert fits_in_memory(tiny_model(), 1000)
    assert not fits_in_memory(tiny_model(), 10**12)


def test_a_model_of_unknown_size_is_taken_to_fit(free):
    free(0)
    assert fits_in_memory(SentenceTransformer(modules=[nn.Linear(2, 2)], device="cpu"), 10**9)


def test_the_estimate_is_close_to_what_a_bert_layer_keeps():
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 2}

    def kept(layers):
        bert = BertModel(BertConfig(vocab_size=50, num_hidden_layers=layers, **size)).train()
        weights = {parameter.data_ptr() for parameter in bert.parameters()}
        sizes = {}

        def remember(tensor):
            if tensor.untyped_storage().data_ptr() not in weights:
                sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        for module in bert.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            output = bert(input_ids=torch.zeros(4, 32, dtype=torch.long))
        del output
        return sum(sizes.values())

    a_layer = kept(3) - kept(2)
    estimate = 4 * FLOATS_PER_UNIT * 4 * 32 * 64
    assert SHARE * estimate < a_layer < 1.1 * estimate
