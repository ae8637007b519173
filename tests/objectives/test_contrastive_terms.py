"""Each term of the contrastive objective, in closed form and block by block, beside plain differentiation."""

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    COUNTS,
    LABELS,
    ROWS,
    WIDTH,
    at_step,
    columns,
    teacher_scores,
    with_t,
)
from torch.nn.functional import cross_entropy, normalize

from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import Curricular, Scheduled
from polyvec.objectives.soft_labels import SoftLabels


class Plain:
    """The same terms, each written down as it is defined, on whole matrices."""

    def __init__(self, temperature=0.1, margin=0.3, **options):
        self.temperature = temperature
        self.margin = margin
        self.options = options

    def __call__(self, vectors, labels=None):
        matryoshka = self.options.get("matryoshka")
        parts = matryoshka.parts(WIDTH) if matryoshka else [(WIDTH, 1)]
        return sum(weight * self.at(dim, vectors, labels) for dim, weight in parts)

    def at(self, dim, vectors, labels):
        soft = self.options.get("soft_labels")
        unit = [v[:, :dim] for v in vectors]
        if self.options.get("similarity") != "dot":
            unit = [normalize(v, dim=1) for v in unit]
        anchors, positives, *negatives = unit
        same = torch.eye(len(anchors), dtype=torch.bool)
        if labels is not None and not soft:
            same |= labels[:, None] == labels
        passages = torch.cat([positives, *negatives])
        popularity = torch.zeros(len(passages), dtype=anchors.dtype)
        if "expected_counts" in self.options:
            popularity[: len(anchors)] = self.options["expected_counts"][labels].log()
        mixed = self.mixed(anchors, negatives)
        loss = self.ask(anchors, positives, passages, same, popularity, mixed)
        if self.options.get("symmetric"):
            none = torch.zeros(len(anchors))
            loss = (loss + self.ask(positives, anchors, anchors, same, none, None)) / 2
        if soft:
            loss = loss + soft.weight * self.taught(soft, unit, labels.to(anchors.dtype))
        return loss

    def mixed(self, anchors, negatives):
        mixing = self.options.get("mixing")
        if mixing is None:
            return None
        pairs = mixing.draw(len(anchors), len(negatives), like=anchors)
        stacked = torch.stack(negatives, dim=1)
        found = []
        for n, rows in enumerate(stacked):
            for first, second, share in zip(
                pairs.first[n], pairs.second[n], pairs.share[n], strict=True
            ):
                found.append(share * rows[first] + (1 - share) * rows[second])
            found.append(((rows @ anchors[n]) / mixing.temperature).softmax(0) @ rows)
        mixed = normalize(torch.stack(found), dim=1).view(len(anchors), -1, anchors.shape[1])
        return mixed.detach() if mixing.detach else mixed

    def ask(self, asking, answers, passages, same, popularity, mixed):
        own = (asking * answers).sum(1, keepdim=True)
        scores, hidden = [asking @ passages.T], []
        sames = [
            torch.cat(
                [same, torch.zeros(len(asking), len(passages) - len(asking), dtype=torch.bool)], 1
            )
        ]
        if self.options.get("expanded"):
            scores += [asking @ asking.T, answers @ answers.T]
            sames += [same, same]
        for side, known in zip(scores, sames, strict=True):
            hidden.append(known | (side > own + self.margin if self.margin is not None else known))
        if mixed is not None:
            scores.append((mixed @ asking[..., None]).squeeze(-1))
            above = scores[-1] > own
            hidden.append(above if self.options["mixing"].guard else torch.zeros_like(above))
        progressive = self.options.get("progressive")
        positive = own if progressive is None else progressive.positive(own)
        logits = [self.bent(side, positive.detach()) for side in scores]
        logits[0] = logits[0] - popularity
        others = torch.cat(logits, 1).masked_fill(torch.cat(hidden, 1), -torch.inf)
        first = positive / self.temperature - popularity[: len(asking), None]
        losses = cross_entropy(
            torch.cat([first, others], 1), torch.zeros(len(asking)).long(), reduction="none"
        )
        focal = self.options.get("focal")
        if focal is None:
            return losses.mean()
        weights = (1 - (-losses).exp()) ** focal.gamma
        weights = weights.detach() if focal.detach else weights
        mean = weights.detach().mean() if focal.renormalise else 1
        return (weights * losses).mean() / mean

    def bent(self, scores, cut):
        progressive = self.options.get("progressive")
        if isinstance(progressive, Curricular):
            raised = (progressive.t + scores).clamp_min(0)
            if progressive.smooth:
                bent = scores * (1 + (raised - 1) * torch.sigmoid((scores - cut) / 0.02))
            else:
                bent = torch.where(scores > cut, scores * raised, scores)
            return bent / self.temperature
        if isinstance(progressive, Scheduled):
            beta = progressive.state()["beta"]
            return scores / self.temperature + beta * (scores - cut).detach()
        return scores / self.temperature

    def taught(self, soft, unit, teacher):
        anchors, *group = unit
        scores = torch.stack([(anchors * column).sum(1) for column in group], 1)
        spread = teacher.std(correction=0)
        targets = (
            teacher / (0.5 * spread if soft.temperature == "auto" else soft.temperature)
        ).softmax(1)
        if soft.mode == "kl":
            student = (scores / soft.student_temperature).log_softmax(1)
            return (targets * (targets.log() - student)).sum(1).mean()
        # Among all columns, those that the teacher puts higher taken out one by one.
        everything = anchors @ torch.cat(group).T
        hidden = everything > scores[:, :1] + self.margin
        losses = []
        for row, order in enumerate(targets.argsort(1, descending=True)):
            columns = row + len(anchors) * torch.arange(len(group))
            out = hidden[row].clone()
            out[columns] = False
            for k in order:
                logits = (everything[row] / soft.student_temperature).masked_fill(
                    out.clone(), -torch.inf
                )
                losses.append(targets[row, k] * -logits.log_softmax(0)[columns[k]])
                out[columns[k]] = True
        return torch.stack(losses).sum() / len(anchors)


TERMS = {
    "plain": {},
    "without margin": {"margin": None},
    "symmetric": {"symmetric": True},
    "expanded": {"expanded": True},
    "expanded both ways": {"expanded": True, "symmetric": True},
    "log-q": {"expected_counts": COUNTS, "symmetric": True},
    "inner products": {"similarity": "dot", "margin": None, "temperature": 3.0},
    "focal": {"focal": FocalWeight()},
    "focal with gradient": {"focal": FocalWeight(gamma=2.0, detach=False)},
    "focal renormalised": {"focal": FocalWeight(gamma=0.7, renormalise=True), "symmetric": True},
    "mixing": {"mixing": NegativeMixing(seed=3)},
    "mixing detached and unguarded": {"mixing": NegativeMixing(detach=True, guard=False)},
    "curricular, damping": {"progressive": with_t(Curricular(), 0.2), "margin": None},
    "curricular, amplifying": {"progressive": with_t(Curricular(), 0.9), "expanded": True},
    "curricular with margin": {"progressive": with_t(Curricular(margin=0.2), 0.5)},
    "curricular, smooth": {"progressive": with_t(Curricular(smooth=True), 0.4), "margin": None},
    "scheduled, early": {"progressive": at_step(Scheduled(steps=9), 1), "symmetric": True},
    "scheduled, late": {"progressive": at_step(Scheduled(steps=9), 9)},
    "soft labels": {"soft_labels": SoftLabels()},
    "soft labels in turn": {"soft_labels": SoftLabels(weight=0.5, temperature=0.7, mode="m3")},
    "matryoshka": {"matryoshka": Matryoshka([12, 8, 5])},
    "everything": {
        "focal": FocalWeight(detach=False),
        "mixing": NegativeMixing(),
        "progressive": with_t(Curricular(margin=0.1, smooth=True), 0.6),
        "soft_labels": SoftLabels(mode="m3"),
        "matryoshka": Matryoshka([12, 6], [1.0, 0.5]),
        "expanded": True,
        "symmetric": True,
    },
}  # fmt: skip


def labels_of(options):
    return teacher_scores() if "soft_labels" in options else LABELS


def found_and_gradients(objective, vectors, labels):
    loss = objective(vectors, labels)
    return [loss.detach(), *torch.autograd.grad(loss, vectors)]


@pytest.mark.parametrize("block_rows", [1, 7, 64, None])
@pytest.mark.parametrize("options", TERMS.values(), ids=TERMS.keys())
def test_loss_and_gradients_are_those_of_plain_differentiation(options, block_rows):
    labels = labels_of(options)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        ours = Contrastive(
            None, **{"temperature": 0.1, "margin": 0.3, **options}, block_rows=block_rows
        ).eval()
        vectors = columns(dtype=dtype)
        found = found_and_gradients(lambda v, y, o=ours: o.loss(v[0], v[1:], y), vectors, labels)
        # Which side of the margin a score is on is the same in both precisions.
        expected = found_and_gradients(Plain(**options), columns(), labels)
        for mine, theirs in zip(found, expected, strict=True):
            assert torch.allclose(mine.double(), theirs, atol=tolerance, rtol=tolerance)


def test_what_is_compared_does_hide_and_weigh():
    objective = Contrastive(
        None,
        0.1,
        margin=0.3,
        progressive=with_t(Curricular(), 0.2),
        focal=FocalWeight(),
        mixing=NegativeMixing(),
    ).eval()
    vectors = columns()
    objective.loss(vectors[0], vectors[1:])
    trace = objective.trace
    assert 0.003 < trace["masked_share"] < 0.5
    assert 0.02 < trace["hard_share"] < 0.6
    assert 0.1 < trace["focal_weight"] < 0.99
    assert 0 < trace["mixed_dropped"] < 1
    assert trace["rows_without_negatives"] == 0
    assert trace["t"] == pytest.approx(0.2)
    found = torch.nn.functional.cosine_similarity(vectors[0], vectors[1]).mean().item()
    assert trace["positive"] == pytest.approx(found)


def test_no_term_is_rounded_under_autocast():
    vectors = columns(dtype=torch.float32)
    objective = Contrastive(None, **{**TERMS["everything"], "block_rows": 9}).eval()
    exact = objective.loss(vectors[0], vectors[1:], teacher_scores())
    with torch.autocast("cpu", torch.bfloat16):
        assert objective.loss(vectors[0], vectors[1:], teacher_scores()) == exact


def test_the_order_of_rows_does_not_matter():
    vectors = columns()
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(4))
    objective = Contrastive(
        None,
        focal=FocalWeight(renormalise=True),
        progressive=with_t(Curricular(), 0.3),
        soft_labels=SoftLabels(mode="m3"),
        expanded=True,
    ).eval()
    scores = teacher_scores()
    plain = objective.loss(vectors[0], vectors[1:], scores)
    moved = [column[order] for column in vectors]
    shuffled = objective.loss(moved[0], moved[1:], scores[order])
    assert shuffled.item() == pytest.approx(plain.item(), rel=1e-12)
