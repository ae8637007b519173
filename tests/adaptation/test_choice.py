import pytest

from polyvec.adaptation.choice import ALLOWED_LOSS, WEIGHTS, choose_weight


def curve(dev, retention=None):
    """Points at weights 0, 0.5 and 1."""
    points = [{"weight": w, "dev": d} for w, d in zip((0.0, 0.5, 1.0), dev, strict=True)]
    if retention is not None:
        for point, value in zip(points, retention, strict=True):
            point["retention"] = value
    return points


def test_the_base_is_among_the_weights_tried():
    assert WEIGHTS[0] == 0
    assert list(WEIGHTS) == sorted(WEIGHTS)
    assert ALLOWED_LOSS == 0.005


@pytest.mark.parametrize(
    ("dev", "retention", "weight"),
    [
        # Without retention the best on dev is taken.
        ((0.5, 0.6, 0.7), None, 1.0),
        ((0.5, 0.7, 0.6), None, 0.5),
        ((0.5, 0.4, 0.3), None, 0.0),
        # With it, only where no more than 0.005 is lost.
        ((0.5, 0.6, 0.7), (0.4, 0.4, 0.4), 1.0),
        ((0.5, 0.6, 0.7), (0.4, 0.396, 0.396), 1.0),
        ((0.5, 0.6, 0.7), (0.4, 0.4, 0.394), 0.5),
        ((0.5, 0.6, 0.7), (0.4, 0.394, 0.394), 0.0),
        ((0.5, 0.6, 0.7), (0.4, 0.394, 0.5), 1.0),
        ((0.5, 0.4, 0.7), (0.4, 0.5, 0.3), 0.0),
        # Exactly the allowed loss is allowed, in numbers that a float holds exactly.
        ((0.5, 0.6, 0.7), (ALLOWED_LOSS, 0.0, 0.0), 1.0),
        # Among equals the weight nearest to the base.
        ((0.5, 0.6, 0.6), None, 0.5),
        ((0.5, 0.5, 0.5), None, 0.0),
        ((0.5, 0.6, 0.6), (0.4, 0.3, 0.4), 1.0),
    ],
)
def test_the_best_weight_that_forgets_no_more_than_allowed(dev, retention, weight):
    points = curve(dev, retention)
    assert choose_weight(points).weight == weight
    assert choose_weight(points[::-1]).weight == weight


def test_why_an_adapted_model_is_taken():
    why = choose_weight(curve((0.5, 0.62, 0.6), (0.4, 0.4, 0.4))).why
    assert why == "best of the weights on dev (+12.0 points nDCG@10) that keep what was known"


@pytest.mark.parametrize(("dev", "gain"), [((0.5, 0.4, 0.48), "-2.0"), ((0.5, 0.5, 0.5), "+0.0")])
def test_why_the_base_is_kept_when_nothing_was_gained(dev, gain):
    why = choose_weight(curve(dev)).why
    assert (
        why
        == f"the adapted model was not better on dev ({gain} points nDCG@10), so the base is kept"
    )


def test_why_the_base_is_kept_when_too_much_was_forgotten():
    why = choose_weight(curve((0.5, 0.6, 0.7), (0.4, 0.39, 0.3))).why
    assert why == (
        "the adapted model was better on dev (+20.0 points nDCG@10) "
        "but lost too much outside the domain (-10.0), so the base is kept"
    )


def test_the_loss_told_is_that_of_the_best_weight_on_dev_even_where_a_lesser_one_lost_nothing():
    # 0.5 keeps what was known but is worse on dev; 1 is better on dev but forgets.
    choice = choose_weight(curve((0.5, 0.4, 0.7), (0.4, 0.4, 0.3)))
    assert choice.weight == 0
    assert "+20.0" in choice.why
    assert "-10.0" in choice.why
