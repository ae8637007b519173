"""Processes that train together have the loss and gradient of one with the joined batch, whatever terms are on."""

import torch
from torch import distributed, multiprocessing, nn

from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import Curricular, Scheduled
from polyvec.objectives.soft_labels import SoftLabels

ROWS, WIDTH, NEGATIVES = 6, 4, 3
LABELS = torch.tensor([[0, 0], [1, 1], [2, 2], [0, 3], [4, 1], [5, 5]])


def terms():
    """Each in a fresh state."""
    return [
        {"temperature": 0.3, "margin": 0.2},
        {
            "temperature": 1.0,
            "margin": None,
            "similarity": "dot",
            "symmetric": True,
            "expected_counts": torch.arange(1.0, 7.0),
        },
        {
            "temperature": 0.3,
            "focal": FocalWeight(renormalise=True),
            "mixing": NegativeMixing(),
            "progressive": Curricular(ema=0.5),
            "matryoshka": Matryoshka([3, 2]),
            "expanded": True,
        },
        {
            "temperature": 0.3,
            "progressive": Scheduled(steps=4),
            "soft_labels": SoftLabels(mode="m3"),
            "symmetric": True,
            "block_rows": 2,
        },
    ]


class Numbers(nn.Module):
    """A model whose texts are rows of numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, 3)
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-1, 1, 12).view(3, 4))
            self.layer.bias.fill_(0.1)

    def forward(self, features):
        return {"sentence_embedding": self.layer(features["numbers"])}


def loss_and_gradient(options, rows):
    """Of some rows of the same columns, after two steps."""
    model = Numbers()
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randn(ROWS, WIDTH, generator=generator) for _ in range(2 + NEGATIVES)]
    scores = torch.randn(ROWS, 1 + NEGATIVES, generator=generator)
    labels = scores if "soft_labels" in options else LABELS
    objective = Contrastive(model, **options)
    for _ in range(2):
        model.zero_grad()
        loss = objective([{"numbers": column[rows]} for column in columns], labels[rows])
        loss.backward()
    return torch.cat([loss.detach().flatten(), *(p.grad.flatten() for p in model.parameters())])


def _work(number, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=2
    )
    half = slice(number * ROWS // 2, (number + 1) * ROWS // 2)
    found = torch.stack([loss_and_gradient(options, half) for options in terms()])
    distributed.all_reduce(found)
    torch.save(found / 2, f"{folder}/mean-{number}.pt")
    distributed.destroy_process_group()


def test_two_ranks_have_the_loss_and_gradient_of_one_with_the_joined_batch(tmp_path):
    multiprocessing.spawn(_work, (str(tmp_path),), nprocs=2)
    joined = torch.stack([loss_and_gradient(options, slice(None)) for options in terms()])
    for number in range(2):
        found = torch.load(tmp_path / f"mean-{number}.pt", weights_only=True)
        assert torch.allclose(found, joined, atol=1e-5)
    assert (joined.abs().sum(dim=1) > 1).all()
