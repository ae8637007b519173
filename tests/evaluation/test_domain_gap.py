import json
import re

import numpy as np
import pandas as pd
import pytest

from polyvec.errors import BadInput
from polyvec.evaluation.domain_gap import TABLES, domain_gap
from polyvec.evaluation.domain_gap_figures import as_svg, coefficients, group_boxes
from polyvec.recipes.finmteb_simulation import World, simulate_gap

DRAWS = 300


def tables(seed=0, **world):
    results, complexity = simulate_gap(seed, World(**{"datasets": 28, "models": 4, **world}))
    rng = np.random.default_rng(seed + 1000)
    complexity["fog"] = complexity.pop("complexity")
    complexity["mdd"] = 0.5 * complexity["fog"] + rng.normal(size=len(complexity))
    return results, complexity


@pytest.fixture(scope="module")
def report():
    return domain_gap(*tables(), draws=DRAWS)


def domain_rows(report):
    return report.regression[report.regression["term"] == "domain"].set_index("control")


def test_every_analysis_has_its_rows(report):
    assert set(report.anova["factor"]) == {"model", "domain", "residual"}
    assert report.anova["task_type"].nunique() == 7
    assert len(report.subgroups) == 2 * 3
    assert list(domain_rows(report).index) == ["nothing", "fog", "mdd", "all measures"]
    assert report.permutation["control"].tolist() == ["nothing", "fog", "mdd", "all measures"]
    assert len(report.rank_transfer) == 7
    assert report.matched["measure"].tolist() == ["fog", "mdd", "all measures"]
    assert (report.reference, report.target) == ("general", "finance")


def test_the_coefficients_are_those_of_least_squares(report):
    results, complexity = tables()
    joined = results.merge(complexity, on="dataset")
    fog = complexity["fog"]
    design = np.column_stack(
        [
            np.ones(len(joined)),
            joined["domain"] == "finance",
            (joined["fog"] - fog.mean()) / fog.std(),
            pd.get_dummies(joined["task_type"]).iloc[:, 1:],
            pd.get_dummies(joined["model"]).iloc[:, 1:],
        ]
    ).astype(float)
    wanted = np.linalg.lstsq(design, joined["score"])[0]
    found = report.regression[report.regression["control"] == "fog"].set_index("term")["estimate"]
    assert found["domain"] == pytest.approx(wanted[1])
    assert found["fog"] == pytest.approx(wanted[2])
    by_shuffles = report.permutation.set_index("control")["estimate"]
    assert by_shuffles.to_dict() == pytest.approx(domain_rows(report)["estimate"].to_dict())


def test_the_share_explained_is_one_minus_the_ratio(report):
    rows = domain_rows(report)
    ratio = rows.loc["fog", "estimate"] / rows.loc["nothing", "estimate"]
    assert rows.loc["fog", "share_explained"] == pytest.approx(1 - ratio)
    assert np.isnan(rows.loc["nothing", "share_explained"])


def test_the_raw_gap_is_the_difference_of_means(report):
    means = tables()[0].groupby("domain")["score"].mean()
    assert report.raw_gap.value == pytest.approx(means["finance"] - means["general"])
    assert report.raw_gap.low < report.raw_gap.value < report.raw_gap.high


def test_order_of_rows_and_names_of_models_make_no_difference(report):
    results, complexity = tables()
    results = results.sample(frac=1, random_state=1).assign(
        model=lambda rows: rows["model"].map(lambda name: f"other {9 - int(name[-1])}")
    )
    turned = domain_gap(results, complexity.iloc[::-1], draws=DRAWS)
    for name in ("anova", "subgroups", "regression", "permutation", "matched", "pairs"):
        pd.testing.assert_frame_equal(getattr(turned, name), getattr(report, name))
    assert turned.rank_transfer["spearman"].tolist() == pytest.approx(
        report.rank_transfer["spearman"].tolist(), nan_ok=True
    )


def test_turning_the_domains_turns_the_sign(report):
    turned = domain_gap(*tables(), reference="finance", draws=DRAWS)
    np.testing.assert_allclose(
        domain_rows(turned)["estimate"], -domain_rows(report)["estimate"], atol=1e-12
    )
    np.testing.assert_allclose(domain_rows(turned)["se"], domain_rows(report)["se"])
    assert turned.raw_gap.value == pytest.approx(-report.raw_gap.value)


def test_a_measure_s_unit_makes_no_difference(report):
    results, complexity = tables()
    scaled = domain_gap(results, complexity.assign(fog=32 + 1.8 * complexity["fog"]), draws=DRAWS)
    np.testing.assert_allclose(scaled.regression["estimate"], report.regression["estimate"])


def test_many_rows_of_the_same_scores_are_no_more_evidence(report):
    results, complexity = tables()
    repeated = domain_gap(pd.concat([results] * 5), complexity, draws=DRAWS)
    pd.testing.assert_frame_equal(repeated.regression, report.regression)
    pd.testing.assert_frame_equal(repeated.anova, report.anova)
    assert any("averaged" in note for note in repeated.notes)


def test_a_covariate_is_held_equal_in_every_fit_but_the_raw_one():
    results, complexity = tables()
    rng = np.random.default_rng(5)
    complexity["corpus_size"] = rng.normal(size=len(complexity))
    found = domain_gap(results, complexity, covariates=["corpus_size"], draws=DRAWS)
    rows = found.regression.groupby("control", sort=False)["term"].agg(list).to_dict()
    assert rows["nothing"] == ["domain"]
    assert rows["covariates"] == ["domain", "corpus_size"]
    assert rows["fog"] == ["domain", "fog", "corpus_size"]
    assert rows["all measures"] == ["domain", "fog", "mdd", "corpus_size"]
    assert found.measures == ("fog", "mdd")


def test_intervals_and_counts_of_a_profile_are_no_measures():
    results, complexity = tables()
    found = domain_gap(
        results, complexity.assign(fog_low=0.0, fog_high=1.0, text_count=7, note="x"), draws=DRAWS
    )
    assert found.measures == ("fog", "mdd")


def test_a_measure_that_nobody_has_is_left_out_with_a_note():
    results, complexity = tables()
    found = domain_gap(results, complexity.assign(llm=np.nan), draws=DRAWS)
    assert found.measures == ("fog", "mdd")
    assert "llm is n/a for every data set and was left out" in found.notes


def test_few_data_sets_refuse_the_regression_but_give_subgroups():
    results, complexity = tables()
    keep = [*complexity["dataset"][::2], *complexity["dataset"][1:4:2]]
    found = domain_gap(results[results["dataset"].isin(keep)], complexity)
    assert found.regression.empty
    assert found.permutation.empty
    assert "no regression: 'finance' has 2 data sets, and it takes 3" in found.notes
    assert len(found.subgroups) == 6
    assert found.summary().startswith("There are too few data sets")


def test_a_missing_score_is_noted():
    results, complexity = tables()
    found = domain_gap(results.iloc[1:], complexity, draws=DRAWS)
    assert "not every model has a score on every data set: model 0" in found.notes


def test_a_task_type_of_one_domain_takes_no_part_in_anova_and_ranks():
    results, complexity = tables()
    alone = (results["task_type"] == "sts") & (results["domain"] == "finance")
    found = domain_gap(results[~alone], complexity, draws=DRAWS)
    assert "sts" not in set(found.anova["task_type"])
    assert "sts" not in set(found.rank_transfer["task_type"])


def test_a_third_domain_has_to_be_chosen():
    results, complexity = tables()
    law = results["dataset"].isin(complexity["dataset"][:8])
    results = results.assign(domain=results["domain"].mask(law, "law"))
    with pytest.raises(BadInput, match="say which domain to compare with 'general': finance, law"):
        domain_gap(results, complexity)
    assert domain_gap(results, complexity, target="law", draws=DRAWS).target == "law"
    with pytest.raises(BadInput, match="no domain to compare is called 'code'"):
        domain_gap(results, complexity, target="code")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, c: (r.drop(columns="model"), c), "the results lacks the column 'model'"),
        (lambda r, c: (r, c.drop(columns="dataset")), "table lacks the column 'dataset'"),
        (lambda r, c: (r.iloc[:0], c), "no row"),
        (lambda r, c: (r.assign(domain="general"), c), "one domain only, 'general'"),
        (lambda r, c: (r.assign(score=r["score"] * 100), c), "row 1 of the results: the score"),
        (lambda r, c: (r.assign(score=np.nan), c), "not between -1 and 1"),
        (lambda r, c: (r.assign(score="high"), c), "not between -1 and 1"),
        (lambda r, c: (r.assign(model=None), c), "row 1 of the results has no model"),
        (lambda r, c: (r.assign(dataset="one"), c), "data set one stands in the results with more"),
        (lambda r, c: (r, c.iloc[1:]), "data set set 00 has scores but no row"),
        (
            lambda r, c: (r, c.assign(fog=c["fog"].mask(c.index == 3))),
            "fog of data set set 03 is m",
        ),
        (lambda r, c: (r, pd.concat([c, c.iloc[:1]])), "set 00 has more than one row"),
        (lambda r, c: (r, c.assign(fog=1.0)), "fog is the same for every data set"),
        (lambda r, c: (r, c[["dataset"]]), "holds no measure"),
        (
            lambda r, c: (r, c.assign(fog=np.arange(len(c)) % 2)),
            "the domain and fog say the same of every data set",
        ),
        (
            lambda r, c: (r.assign(task_type="type " + r["domain"]), c),
            "no task type has data sets of both domains",
        ),
    ],
)
def test_bad_input_is_said_in_one_sentence(change, message):
    with pytest.raises(BadInput, match=message):
        domain_gap(*change(*tables()), draws=DRAWS)


def test_no_such_reference_and_no_such_measure():
    results, complexity = tables()
    with pytest.raises(BadInput, match="no data set is of the domain 'mteb'"):
        domain_gap(results, complexity, reference="mteb")
    with pytest.raises(BadInput, match="lacks the column 'flesch'"):
        domain_gap(results, complexity, measures=["flesch"])
    with pytest.raises(BadInput, match="'fog' cannot be a measure and a covariate"):
        domain_gap(results, complexity, measures=["fog"], covariates=["fog"])


def test_the_sentences_say_no_more_than_the_numbers(report):
    assert report.summary().startswith("These models score finance lower than general, also")
    assert "28 data sets are few" in report.summary()
    none = domain_gap(*tables(gap=0.0, slope=-0.05), draws=DRAWS)
    assert "no difference between finance and general beyond luck" in none.summary()
    assert "no share of it can be called explained" in none.summary()
    assert none.regression["share_explained"].isna().all()
    assert "cannot tell" in none.summary()


def test_files(report, tmp_path):
    report.to_json(tmp_path / "gap.json")
    content = json.loads((tmp_path / "gap.json").read_text())
    assert content["summary"] == report.summary()
    assert len(content["regression"]) == len(report.regression)
    assert content["regression"][0]["share_explained"] is None
    report.to_csv(tmp_path / "tables")
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == set(TABLES)
    read = pd.read_csv(tmp_path / "tables" / "subgroups.csv")
    pd.testing.assert_frame_equal(read, report.subgroups)


def test_the_page_stands_alone_and_escapes_names(tmp_path):
    results, complexity = tables()
    results["domain"] = results["domain"].replace("finance", "<b>finance & law</b>")
    domain_gap(results, complexity, draws=DRAWS).to_html(tmp_path / "gap.html")
    page = (tmp_path / "gap.html").read_text("utf-8")
    assert "<b>finance & law</b>" not in page
    assert "&lt;b&gt;finance &amp; law&lt;/b&gt;" in page
    assert page.count("<svg") == 2
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)


def test_the_page_of_a_refused_regression_says_so(tmp_path):
    results, complexity = tables()
    keep = complexity["dataset"][:4]
    found = domain_gap(results[results["dataset"].isin(keep)], complexity)
    found.to_html(tmp_path / "gap.html")
    page = (tmp_path / "gap.html").read_text("utf-8")
    assert "No regression could be made" in page
    assert page.count("<svg") == 1
    found.to_json(tmp_path / "gap.json")
    found.to_csv(tmp_path)


def test_pictures_are_the_same_bytes_for_the_same_report(report):
    assert as_svg(group_boxes(report)) == as_svg(group_boxes(report))
    assert "fog" in as_svg(coefficients(report))
