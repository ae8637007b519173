"""RegMean: the linear layer that comes nearest to what each model's own layer gives for its own inputs.

Jin, Ren, Preotiuc-Pietro, Cheng 2022, "Dataless Knowledge Fusion by Merging Weights of Language Models"
(arXiv:2212.09849). For linear layers this least-squares problem has a closed form in the inner products of inputs; all
other weights are averaged. Solved in float64 with a small ridge instead of a plain inverse.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from polyvec.adaptation.task_vectors import Delta, TaskVectors
from polyvec.errors import BadInput

_RIDGE = 1e-6


@torch.inference_mode()
def input_products(
    model: SentenceTransformer, texts: Sequence[str], *, batch: int = 32
) -> dict[str, Tensor]:
    """Mean inner products of the inputs of every linear layer, padding left out.

    Args:
        model: which it is asked of; it is not changed.
        texts: of the model's own kind.
        batch: texts at once.

    Returns:
        Name of each layer's weight → shape (inputs, inputs), float64.
    """
    held = copy.deepcopy(model).eval()
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    words: list[Tensor] = []

    def listen(name: str):  # type: ignore[no-untyped-def]
        def hear(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = inputs[0]
            if rows.ndim == 3 and rows.shape[:2] == words[0].shape:
                rows = rows[words[0].bool()]
            rows = rows.reshape(-1, rows.shape[-1]).double().cpu()
            sums[name] = sums.get(name, torch.zeros((), dtype=torch.float64)) + rows.T @ rows
            counts[name] = counts.get(name, 0) + len(rows)

        return hear

    for name, module in held.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(listen(f"{name}.weight"))
    for start in range(0, len(texts), batch):
        features = batch_to_device(held.preprocess(list(texts[start : start + batch])), held.device)
        words[:] = [features["attention_mask"]]
        held(features)
    return {name: found / counts[name] for name, found in sums.items()}


def regmean(
    vectors: TaskVectors, products: Sequence[dict[str, Tensor]], *, keep: float = 0.1
) -> Delta:
    """Merge linear layers by least squares, and everything else by the mean.

    Args:
        vectors: of the models.
        products: of each model's inputs, from `input_products`.
        keep: factor of inner products of different inputs. The paper's sigma, tried at 0, .1, .2, .3 and .4; 0 makes
            each input stand for itself.

    Raises:
        BadInput: when there are not as many products as models, or the factor is not between 0 and 1.
    """
    if len(products) != len(vectors.deltas) or not 0 <= keep <= 1:
        raise BadInput(
            f"{len(vectors.deltas)} models, {len(products)} sets of products, keep={keep}: give one set a model and a "
            "factor between 0 and 1"
        )
    merged = {}
    for name in vectors.deltas[0]:
        changes = [delta[name] for delta in vectors.deltas]
        # The same combination serves the changes as the weights, because it leaves what is equal in all as it is.
        known = [found[name] for found in products if name in found]
        merged[name] = (
            _least_squares(changes, known, keep)
            if len(known) == len(changes)
            else torch.stack(changes).mean(dim=0)
        )
    return merged


def _least_squares(changes: Sequence[Tensor], products: Sequence[Tensor], keep: float) -> Tensor:
    """The matrix W of shape (outputs, inputs) with the least sum of squared differences of outputs."""
    shrunk = [keep * found + (1 - keep) * torch.diag(found.diagonal()) for found in products]
    ridge = _RIDGE * float(sum(found.diagonal().mean() for found in shrunk))
    unit = ridge * torch.eye(len(shrunk[0]), dtype=torch.float64)
    # The ridge pulls towards the mean of all models, not towards zero.
    mean = torch.stack([change.double() for change in changes]).mean(dim=0)
    left = unit + torch.stack(shrunk).sum(dim=0)
    right = unit @ mean.T + sum(
        found @ change.double().T for found, change in zip(shrunk, changes, strict=True)
    )
    solved: Tensor = torch.linalg.solve(left, right)
    return solved.T.float()
