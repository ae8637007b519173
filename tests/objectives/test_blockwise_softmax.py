import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from polyvec.objectives import blockwise_softmax as blockwise
from polyvec.objectives.blockwise_softmax import NOTHING, Side, blockwise_softmax

ROWS, COLUMNS, WIDTH = 13, 29, 5
HIDDEN = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(9)) < 0.2


def vectors(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    sizes = [(ROWS, WIDTH), (COLUMNS, WIDTH), (ROWS,)]
    return [torch.randn(*size, generator=generator, dtype=dtype).requires_grad_() for size in sizes]


def hidden(block, scores):
    return HIDDEN[block]


def row_loss(block, rest, each_row):
    return softplus(rest - each_row[0])


def ours(rows, columns, own, **options):
    return blockwise_softmax([Side(rows, columns, hidden)], row_loss, [own], **options)


def plain(rows, columns, own, temperature):
    logits = (rows @ columns.T / temperature).masked_fill(HIDDEN, -torch.inf)
    return cross_entropy(
        torch.cat([own[:, None], logits], 1), torch.zeros(ROWS).long(), reduction="sum"
    )


@pytest.mark.parametrize("block_rows", [1, 4, 13, 100, None])
def test_a_sum_over_blocks_is_the_whole(block_rows):
    given = vectors()
    loss = ours(*given, temperature=0.5, block_rows=block_rows)
    expected = plain(*given, temperature=0.5)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    found = torch.autograd.grad(3 * loss, given)
    for mine, theirs in zip(found, torch.autograd.grad(3 * expected, given), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


def test_columns_of_several_sides_are_one_softmax():
    given = vectors()
    parts = given[1][:20], given[1][20:]
    sides = [
        Side(given[0], parts[0], lambda block, scores: HIDDEN[block, :20]),
        Side(given[0], parts[1], lambda block, scores: HIDDEN[block, 20:]),
    ]
    loss = blockwise_softmax(sides, row_loss, [given[2]], temperature=0.5, block_rows=4)
    found = torch.autograd.grad(loss, given)
    expected = torch.autograd.grad(plain(*given, temperature=0.5), given)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


def test_scores_of_a_block_only_are_ever_held():
    given = vectors()
    seen = []

    def watched(block, scores):
        seen.append(tuple(scores.shape))
        return HIDDEN[block]

    side = Side(given[0], given[1], watched)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        blockwise_softmax([side], row_loss, [given[2]], temperature=1.0, block_rows=5)
    assert seen == [(5, COLUMNS), (5, COLUMNS), (3, COLUMNS)]
    gradients, for_a_moment = ROWS * WIDTH + COLUMNS * WIDTH + ROWS, ROWS
    assert sum(saved) == gradients + for_a_moment


def test_blocks_shrink_as_columns_grow(monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK_BYTES", 2 * COLUMNS * 8)
    given = vectors()
    seen = []

    def watched(block, scores):
        seen.append(len(scores))
        return HIDDEN[block]

    blockwise_softmax([Side(*given[:2], watched)], row_loss, [given[2]], temperature=1.0)
    assert seen == [2] * 6 + [1]


def test_a_row_without_columns_learns_nothing():
    given = vectors()
    side = Side(given[0], given[1], lambda block, scores: torch.ones_like(scores, dtype=torch.bool))
    rests = []

    def watched(block, rest, each_row):
        rests.append(rest.detach())
        return row_loss(block, rest, each_row)

    loss = blockwise_softmax([side], watched, [given[2]], temperature=1.0, block_rows=5)
    assert (torch.cat(rests) == NOTHING).all()
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, given))


def test_logits_beyond_what_exponentials_hold():
    given = vectors(torch.float32)
    loss = ours(*given, temperature=1e-3)
    assert loss.isfinite()
    assert loss.item() == pytest.approx(plain(*given, temperature=1e-3).item(), rel=1e-5)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, given))


def test_nothing_is_differentiated_where_nothing_learns():
    given = vectors()
    calls = []

    def watched(block, rest, each_row):
        calls.append(rest.requires_grad)
        return row_loss(block, rest, each_row)

    with torch.no_grad():
        blockwise_softmax([Side(*given[:2], hidden)], watched, [given[2]], temperature=1.0)
    assert calls == [False]


def test_only_what_asks_for_a_gradient_gets_one():
    rows, columns, own = (tensor.detach() for tensor in vectors())
    weight = nn.Parameter(torch.ones((), dtype=torch.float64))
    loss = ours(weight * rows, columns, own, temperature=0.5, block_rows=3)
    expected = plain(weight * rows, columns, own, temperature=0.5)
    found = torch.autograd.grad(loss, weight)[0].item()
    assert found == pytest.approx(torch.autograd.grad(expected, weight)[0].item(), rel=1e-12)
