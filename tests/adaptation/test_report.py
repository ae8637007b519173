import re
from io import StringIO

import pytest
from rich.console import Console

from polyvec.adaptation.report import headline, table, write_report
from polyvec.adaptation.report_figures import summary_picture

SYSTEMS = ("bm25", "base", "adapted", "hybrid")
VALUES = {"bm25": 0.5, "base": 0.55, "adapted": 0.61, "hybrid": 0.64}
INTERVAL = {"value": 0.06, "low": 0.041, "high": 0.079, "p": 0.0002}


def scores():
    return {
        s: {"ndcg@10": VALUES[s], "mrr@10": 0.4, "recall@10": 0.7, "recall@100": 0.9}
        for s in SYSTEMS
    }


def bounds():
    systems = {
        s: {"value": v, "low": v - 0.02, "high": v + 0.02, "p": 0.0} for s, v in VALUES.items()
    }
    return {"over_base": INTERVAL, "over_bm25": INTERVAL, "systems": systems}


def example(query="how to <script>alert(1)</script>"):
    found = {
        "wanted": "<b>text</b>",
        "wanted_id": "a#0.0",
        "task": "title → section",
        "query": query,
    }
    for system, rank in (("base", None), ("adapted", 1)):
        found |= {f"{system}_rank": rank, f"{system}_found": "other", f"{system}_found_id": "b#0.0"}
    return found


@pytest.fixture
def metrics():
    return {
        "polyvec": "0.1.0",
        "created": "2026-01-01T00:00:00+00:00",
        "documents": "python:",
        "base": "minilm",
        "seed": 0,
        "kept": "adapted",
        "why": "best of the weights on dev",
        "mean": scores(),
        "tasks": {"title → section": scores(), "summary → code": scores()},
        "sizes": {
            "title → section": {"queries": 200, "passages": 700},
            "summary → code": {"queries": 150, "passages": 600},
        },
        "gain": INTERVAL,
        "gain_over_bm25": INTERVAL,
        "intervals": {"title → section": bounds(), "summary → code": bounds(), "mean": bounds()},
        "retention": {
            "base": 0.6,
            "adapted": 0.598,
            "change": -0.002,
            "tasks": {"heading → body": {"base": 0.6, "adapted": 0.598, "queries": 90}},
        },
        "complexity": {
            "entropy": {"exam": 4.81, "outside": 5.02},
            "fog": {"exam": 11.2, "outside": 12.9},
        },
        "cost": {
            "seconds": 700.0,
            "stages": {"read": 30.0, "train": 480.0},
            "steps": 2,
            "pairs": 128,
            "peak_memory_mb": 3100.0,
            "machine": "a machine, 2 cores",
            "precision": "float32",
        },
        "pretraining": {},
        "frontier": {},
        "training": {
            "curve": [
                {"step": 1, "seconds": 4.0, "loss": 2.0, "learning_rate": 1e-4},
                {"step": 2, "seconds": 8.0, "loss": 1.5, "learning_rate": 5e-5},
            ],
            "batch": 64,
            "learning_rate": 1e-4,
        },
        "merge": {
            "curve": [
                {"weight": 0.0, "dev": 0.5, "retention": 0.6},
                {"weight": 1.0, "dev": 0.56, "retention": 0.598},
            ],
            "chosen": 1.0,
        },
        "examples": {"better": [example()], "worse": []},
        "read": {
            "documents": 3000,
            "sections": 9000,
            "groups": 90,
            "splits": {"train": {"documents": 2000, "groups": ["numpy"]}},
            "split_note": "",
            "pairs": {"title → section": 900},
            "removed_near_duplicates": 12,
            "skipped": [{"where": f"f{n}.bin", "reason": "binary"} for n in range(3)],
            "skipped_total": 3,
        },
    }


def page(metrics, tmp_path):
    write_report(metrics, tmp_path / "report.html")
    return (tmp_path / "report.html").read_text("utf-8")


def test_the_page_says_how_hard_the_exam_is(metrics, tmp_path):
    text = page(metrics, tmp_path)
    assert "entropy, bits a word</td><td>4.81</td><td>5.02</td>" in text
    assert "dependency distance" not in text


def sizes():
    """The frontier of two models at two sizes."""
    points = []
    for model in ("adapted", "base"):
        for layers, dims in ((6, 384), (1, 32)):
            for stored, size in (("float32", 4 * dims), ("int8", dims), ("binary", dims // 8)):
                points.append(
                    {
                        **{"model": model, "layers": layers, "dims": dims, "stored": stored},
                        **{"model_bytes": 90_000_000, "vector_bytes": size},
                        **{"ms_1": 2.5 * layers, "ms_32": 40.0 * layers, "quality": 0.1 * layers},
                        "change": {"value": -0.05, "low": -0.07, "high": -0.03, "p": 0.0},
                        "best": stored == "binary",
                    }
                )
    return {"measure": "ndcg@10", "machine": "a machine, 2 threads", "points": points}


def test_the_page_shows_the_sizes_of_an_elastic_model(metrics, tmp_path):
    assert "Smaller sizes" not in page(metrics, tmp_path)
    metrics["frontier"] = sizes()
    html = page(metrics, tmp_path)
    assert "<td>adapted</td><td>1</td><td>32</td><td>90.0</td><td>2.5</td><td>40.0</td>" in html
    assert "<td>10.0</td><td>10.0</td><td><b>10.0</b></td>" in html
    assert "128 / 32 / 4" in html
    assert "-5.0 (-7.0 to -3.0)" in html
    assert html.count("<svg") == 5


def test_the_page_says_the_result_in_points(metrics, tmp_path):
    html = page(metrics, tmp_path)
    assert "+6.0 points nDCG@10" in html
    assert "+4.1 to +7.9" in html
    assert html.count("<svg") == 4


def test_the_page_needs_nothing_else(metrics, tmp_path):
    html = page(metrics, tmp_path)
    assert not re.search(
        r'(src|href)="(?!#)', html.replace("xlink:href", "href").replace('href="#', "")
    )
    assert "<script" not in html


def test_text_of_documents_is_shown_and_not_run(metrics, tmp_path):
    html = page(metrics, tmp_path)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>text</b>" not in html


def test_what_was_skipped_is_grouped_by_reason(metrics, tmp_path):
    assert "binary (3)" in page(metrics, tmp_path)


def test_a_kept_base_is_said_at_the_top(metrics, tmp_path):
    metrics |= {"kept": "base", "why": "the adapted model was not better on dev"}
    assert headline(metrics) == "The base model was kept: the adapted model was not better on dev."
    assert headline(metrics) in page(metrics, tmp_path)


@pytest.mark.parametrize(
    ("low", "high", "words"), [(-0.01, 0.05, "beyond luck"), (-0.05, -0.01, "is worse")]
)
def test_an_uncertain_gain_is_said_to_be_so(metrics, low, high, words):
    metrics["gain"] = {"value": (low + high) / 2, "low": low, "high": high}
    assert words in headline(metrics)


def test_one_task_without_retention_has_a_page_too(metrics, tmp_path):
    metrics["tasks"].pop("summary → code")
    metrics["retention"] = {}
    for point in metrics["merge"]["curve"]:
        point.pop("retention")
    assert "Outside the domain" not in page(metrics, tmp_path)


def test_the_table_shows_every_task_and_the_mean(metrics):
    text = StringIO()
    Console(file=text, width=140).print(table(metrics))
    lines = text.getvalue()
    assert all(name in lines for name in ("title → section", "summary → code", "mean"))
    assert "+6.0 [+4.1, +7.9]" in lines
    assert "Outside the domain: -0.2 points." in lines


def test_the_picture_is_a_png(metrics, tmp_path):
    summary_picture(metrics, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
