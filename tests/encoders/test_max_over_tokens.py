"""The largest logit of each word, and its gradient, against the plain way."""

from __future__ import annotations

import pytest
import torch

from polyvec.encoders import max_over_tokens as module
from polyvec.encoders.max_over_tokens import LEAST, max_over_tokens


def plain(vectors, weight, bias, counted):
    logits = vectors @ weight.T + bias
    return logits.masked_fill(~counted[..., None], LEAST).amax(dim=1)


@pytest.fixture
def given():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 7, 4, generator=generator)
    weight, bias = torch.randn(11, 4, generator=generator), torch.randn(11, generator=generator)
    counted = torch.rand(5, 7, generator=generator) < 0.6
    counted[:, 2] = True
    return [tensor.requires_grad_() for tensor in (vectors, weight, bias)], counted


@pytest.mark.parametrize("at_once", [2**25, 160, 1])
def test_values_and_gradients_are_the_plain_ones(given, monkeypatch, at_once) -> None:
    monkeypatch.setattr(module, "_LOGITS", at_once)  # all texts at once, some, one
    tensors, counted = given
    found, expected = max_over_tokens(*tensors, counted), plain(*tensors, counted)
    assert torch.allclose(found, expected, atol=1e-6)
    toward = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((found * toward).sum(), tensors)
    wanted = torch.autograd.grad((expected * toward).sum(), tensors)
    for gradient, other in zip(gradients, wanted, strict=True):
        assert torch.allclose(gradient, other, atol=1e-5)


def test_a_text_without_counted_tokens_moves_nothing(given) -> None:
    (vectors, weight, _), counted = given
    nothing = torch.zeros_like(counted)
    found = max_over_tokens(vectors, weight, None, nothing)
    assert (found == LEAST).all()
    found.sum().backward()
    assert not vectors.grad.any()
    assert not weight.grad.any()


def test_words_need_no_bias(given) -> None:
    (vectors, weight, _), counted = given
    expected = plain(vectors, weight, torch.zeros(11), counted)
    assert torch.allclose(max_over_tokens(vectors, weight, None, counted), expected, atol=1e-6)
