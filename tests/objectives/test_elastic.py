import copy

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    AnglELoss,
    CoSENTLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.sentence_transformer.modules import Normalize

from polyvec.encoders.first_layers import first_layers
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.elastic import Elastic, elastic
from polyvec.objectives.elastic_alignment import KLAlignment, PCACompress
from polyvec.objectives.elastic_schedule import (
    WEIGHTINGS,
    AllLayers,
    FixedSizes,
    Grid,
    RandomSize,
    starbucks_sizes,
)
from polyvec.objectives.progressive_weight import Curricular

COLUMNS = [
    ["a cat", "the house", "bread and fish", "sea"],
    ["small cat", "stone house", "fish", "the big sea"],
]


def features(model):
    return [model.preprocess(column) for column in COLUMNS]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}


@pytest.fixture
def model(tiny_model):
    return tiny_model().eval()


@pytest.mark.parametrize("normalised", [False, True])
def test_the_full_size_alone_is_the_base_bit_for_bit(model, normalised):
    if normalised:
        model.append(Normalize())
    base = Contrastive(model)
    whole = Elastic(model, base, FixedSizes([(2, 32)]))
    assert torch.equal(whole(features(model)), base(features(model)))


def test_a_size_is_trained_as_the_model_cut_to_it(model):
    base = Contrastive(model)
    found = Elastic(model, base, FixedSizes([(1, 8)]), reduction="sum")(features(model))
    small = first_layers(model, 1)
    cut = [torch.from_numpy(small.encode(column))[:, :8] for column in COLUMNS]
    wanted = base(features(model)) + base.loss(cut[0], [cut[1]])
    assert float(found) == pytest.approx(float(wanted), abs=1e-5)
    mean = Elastic(model, base, FixedSizes([(1, 8)]))(features(model))
    assert float(mean) == pytest.approx(float(wanted) / 2, abs=1e-5)


def test_weights_of_layers_and_of_the_full_size(model):
    base = Contrastive(model)
    pieces = {}
    for full in (0.0, 1.0):
        pieces[full] = Elastic(
            model, base, FixedSizes([(1, 8)]), full_weight=full, reduction="sum"
        )(features(model))
    assert float(pieces[1.0] - pieces[0.0]) == pytest.approx(float(base(features(model))), abs=1e-6)
    assert WEIGHTINGS["inverse"](4, 12) == 0.25
    assert (
        WEIGHTINGS["inverse"](12, 12)
        == WEIGHTINGS["log"](12, 12)
        == WEIGHTINGS["uniform"](3, 12)
        == 1
    )
    assert WEIGHTINGS["log"](1, 12) == 1


def test_the_teacher_gets_no_gradient_when_detached():
    full = torch.randn(3, 4, requires_grad=True)
    small = torch.randn(3, 2, requires_grad=True)
    KLAlignment()([full], [small]).backward()
    assert full.grad is None
    assert small.grad.abs().sum() > 0
    KLAlignment(detach=False)([full], [small]).backward()
    assert full.grad.abs().sum() > 0


def test_divergence_by_hand():
    full, small = (
        torch.tensor([[0.0, 0.0, 9.0]]),
        torch.tensor([[0.0, 0.3 * torch.tensor(3.0).log()]]),
    )
    # At temperature 0.3: (1/2, 1/2) against (1/4, 3/4).
    wanted = 0.3 * (0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log())
    assert float(KLAlignment()([full], [small])) == pytest.approx(float(wanted), abs=1e-6)
    assert float(KLAlignment(weight=2.0)([full], [small])) == pytest.approx(
        2 * float(wanted), abs=1e-6
    )
    assert float(KLAlignment()([full], [full[:, :2]])) == pytest.approx(0, abs=1e-7)


def test_divergence_of_scores_does_not_mind_other_dimensions():
    vectors = [torch.randn(3, 4), torch.randn(3, 4)]
    turn = torch.linalg.qr(torch.randn(4, 4)).Q
    found = KLAlignment(over="scores")(vectors, [column @ turn for column in vectors])
    assert float(found) == pytest.approx(0, abs=1e-5)


def test_ese_gives_the_layers_below_the_last_one_share_together(model):
    """L = loss(v_N) + loss(v_N^k) + C(v_N) + the mean of w (loss(v_i^k) + C(v_i)) over the layers below; here one."""
    base, compress = Contrastive(model), PCACompress()
    found = elastic(model, base, "ese", schedule=AllLayers(4))(features(model))
    small = first_layers(model, 1)
    wanted = base(features(model))
    for cut in (small, model):
        whole = [torch.from_numpy(cut.encode(column)) for column in COLUMNS]
        prefix = [column[:, :4] for column in whole]
        wanted = wanted + base.loss(prefix[0], [prefix[1]]) + compress(whole, prefix)
    assert float(found) == pytest.approx(float(wanted), abs=1e-4)
    assert WEIGHTINGS["ese"](1, 7) == pytest.approx(1 / 6)
    assert WEIGHTINGS["ese"](7, 7) == 1


def test_all_columns_are_compressed_in_the_same_directions():
    whole = torch.randn(6, 8)
    together = PCACompress()([whole], [whole[:, :4]])
    apart = PCACompress()([whole[:3], whole[3:]], [whole[:3, :4], whole[3:, :4]])
    assert float(apart) == pytest.approx(float(together), abs=1e-5)


def test_compression_wants_as_many_texts_as_directions():
    whole = torch.randn(6, 8)
    assert float(PCACompress()([whole], [whole[:, :4]])) > 0
    with pytest.raises(BadInput, match="at least as many texts"):
        PCACompress()([whole[:3]], [whole[:3, :4]])


def test_chunks_and_recomputing_change_nothing(model):
    schedule, alignment = Grid([1, 2], [8, 32]), KLAlignment()
    plain = Elastic(model, Contrastive(model), schedule, alignment=alignment)
    chunked = Elastic(
        model, Contrastive(model), schedule, alignment=alignment, chunk_tokens=8, recompute=True
    )
    wanted, found = (gradients(model, objective(features(model))) for objective in (plain, chunked))
    assert wanted.keys() == found.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(gradient, found[name], atol=1e-5), name


def test_averages_of_the_base_move_once_a_step(model):
    model.train()
    base = Contrastive(model, progressive=Curricular(ema=0.5))
    alone = copy.deepcopy(base)
    for module in (*base.modules(), *alone.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    alone(features(model))
    Elastic(model, base, Grid([1, 2], [8, 16]))(features(model))
    kept, moved = (
        {k: v for k, v in found.state_dict().items() if not k.startswith("model")}
        for found in (alone, base)
    )
    assert kept
    assert all(torch.equal(value, moved[name]) for name, value in kept.items())


@pytest.mark.parametrize("preset", ["2dmse", "2dmse-code", "ese", "starbucks", "starbucks-scores"])
def test_presets_learn(model, preset):
    changes = {"schedule": AllLayers(4)} if preset == "ese" else {}
    objective = elastic(model, Contrastive(model), preset, **changes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = objective(features(model))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < sum(losses[:3])


def test_losses_of_sentence_transformers_can_be_the_base(model):
    scored = Elastic(model, CoSENTLoss(model), FixedSizes([(1, 8)]))
    assert torch.isfinite(scored(features(model), torch.tensor([1.0, 0.2, 0.5, 0.0])))
    turned = Elastic(model, AnglELoss(model), FixedSizes([(1, 8)]))
    assert torch.isfinite(turned(features(model), torch.tensor([1.0, 0.2, 0.5, 0.0])))
    ranked = Elastic(model, MultipleNegativesRankingLoss(model), FixedSizes([(2, 32)]))
    assert torch.equal(
        ranked(features(model)), MultipleNegativesRankingLoss(model)(features(model), None)
    )


def test_schedules(model):
    import random

    rng = random.Random(0)
    assert AllLayers(8).draw(3, 32, rng) == [(1, 8), (2, 8), (3, 8)]
    assert Grid([1, 3], [8, 32]).draw(3, 32, rng) == [(1, 8), (1, 32), (3, 8)]
    for _ in range(20):
        (layer, width), (last, dim), both = RandomSize().draw(6, 32, rng)
        assert (width, last) == (32, 6)
        assert layer in range(1, 6)
        assert dim in (8, 16)
        assert both == (layer, dim)
    assert list(starbucks_sizes(12, 768).values()) == [
        (2, 32),
        (4, 64),
        (6, 128),
        (8, 256),
        (10, 512),
        (12, 768),
    ]
    sizes = starbucks_sizes(6, 384, narrowest=16)
    assert list(sizes.values()) == [(1, 16), (2, 32), (3, 64), (4, 128), (5, 256), (6, 384)]
    assert list(sizes) == ["demi", "short", "tall", "grande", "venti", "trenta"]


def test_bad_input(model):
    with pytest.raises(BadInput, match=r"size \(3, 8\) of a model with 2 layers"):
        Elastic(model, Contrastive(model), FixedSizes([(3, 8)]))
    with pytest.raises(BadInput, match=r"size \(1, 64\)"):
        Elastic(model, Contrastive(model), FixedSizes([(1, 64)]))
    with pytest.raises(BadInput, match="takes no vectors"):
        Elastic(model, torch.nn.Linear(1, 1), FixedSizes([(1, 8)]))
    with pytest.raises(BadInput, match="weighting 'linear'"):
        Elastic(model, Contrastive(model), FixedSizes([(1, 8)]), weighting="linear")
    with pytest.raises(BadInput, match="elastic preset 'mocha'"):
        elastic(model, Contrastive(model), "mocha")
    with pytest.raises(BadInput, match="temperature=0"):
        KLAlignment(temperature=0)
