import numpy as np
import pytest

from polyvec.evaluation.domain_gap import domain_gap
from polyvec.recipes.finmteb_simulation import (
    World,
    coverage,
    false_gap,
    simulate_gap,
)


def test_the_tables_are_as_the_analysis_wants_them():
    results, complexity = simulate_gap(3)
    assert results["model"].nunique() == 7
    assert len(complexity) == results["dataset"].nunique() == 60
    assert results.groupby("domain")["dataset"].nunique().to_dict() == {
        "finance": 30,
        "general": 30,
    }
    assert (results.groupby("task_type")["domain"].nunique() == 2).all()
    assert results["score"].between(-1, 1).all()


def test_the_same_seed_gives_the_same_tables():
    one, two, other = (simulate_gap(seed)[0]["score"] for seed in (1, 1, 2))
    assert one.equals(two)
    assert not one.equals(other)


def test_without_noise_the_truth_comes_back():
    results, complexity = simulate_gap(0, World(noise=1e-9))
    found = domain_gap(results, complexity, draws=100).regression
    found = found[found["control"] == "complexity"].set_index("term")["estimate"]
    assert found["domain"] == pytest.approx(-0.10, abs=1e-6)
    assert found["complexity"] == pytest.approx(-0.05 * complexity["complexity"].std(), abs=1e-6)


def test_complexity_is_as_correlated_as_asked():
    results, complexity = simulate_gap(0, World(datasets=4_000, models=1, correlation=0.6))
    domain = (results["domain"] == "finance").to_numpy(dtype=float)
    assert np.corrcoef(domain, complexity["complexity"])[0, 1] == pytest.approx(0.6, abs=0.03)


def test_the_interval_holds_the_truth():
    found = coverage(runs=400)
    assert found.share >= 0.92
    assert abs(found.bias) < 0.002


def test_the_interval_holds_the_truth_where_models_share_their_luck():
    assert coverage(runs=400, world=World(shared=0.05, datasets=30)).share >= 0.92


def test_controlling_for_complexity_does_away_with_a_false_gap():
    found = false_gap(runs=60)
    assert found.raw > 0.9
    assert found.controlled <= 0.12
    assert found.permuted_studentized <= 0.12


def test_results_are_plain_json():
    assert coverage(runs=3).to_dict()["runs"] == 3
    assert set(false_gap(runs=2).to_dict()) >= {"raw", "controlled", "permuted"}
