"""A recipe runs, resumes, is judged and leaves evidence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from polyvec.errors import BadInput
from polyvec.recipes import reproduction
from polyvec.recipes.methods import methods, read_evidence
from polyvec.recipes.papers import PAPERS, find_paper
from polyvec.recipes.recipe import Metrics, Recipe, Run, Source, Values, Verdict, find_recipe
from polyvec.recipes.reproduction import reproduce

Made = tuple[Recipe, list[tuple[str, int]]]


def _judge(values: Values) -> Verdict:
    better = [o > p for o, p in zip(values["ours"]["score"], values["plain"]["score"], strict=True)]
    return "holds" if all(better) else "not seen at this scale"


@pytest.fixture
def make() -> Callable[..., Made]:
    """A recipe of two arms, and the list of its runs."""

    def made(failing: set[tuple[str, int]] | None = None) -> Made:
        runs: list[tuple[str, int]] = []

        def arm(name: str, gain: float) -> Callable[[Run], Metrics]:
            def run(given: Run) -> Metrics:
                if failing and (name, given.seed) in failing:
                    raise KeyboardInterrupt
                runs.append((name, given.seed))
                return {"score": 0.5 + 0.01 * given.seed + gain, "other": 1.0}

            return run

        recipe = Recipe(
            paper=find_paper("finmteb"),
            claim="Ours is better.",
            rule="Better in every seed.",
            arms={"plain": arm("plain", 0.0), "ours": arm("ours", 0.1)},
            metric="score",
            judge=_judge,
            sources=lambda: {"numbers": Source("ab" * 32, 7)},
            minutes={"cpu": 0.1},
        )
        return recipe, runs

    return made


def test_evidence_holds_what_was_measured(make: Callable[..., Made], tmp_path: Path) -> None:
    recipe, _ = make()
    evidence = reproduce(recipe, out=tmp_path)
    written = read_evidence(tmp_path / "finmteb" / "cpu.json")
    assert written == json.loads(json.dumps(evidence))
    assert written["arms"]["plain"]["score"] == [0.5, 0.51, 0.52]
    assert written["verdict"] == "holds"
    assert written["data"] == {"numbers": {"sha256": "ab" * 32, "rows": 7}}
    assert written["seeds"] == [0, 1, 2]
    assert written["versions"]["polyvec"]
    assert written["costs"]["ours"][0]["peak_memory_mb"] > 0
    for key in ("paper", "arxiv", "claim", "rule", "minutes", "commit", "machine", "command"):
        assert key in written


def test_a_picture_lies_beside_the_evidence(make: Callable[..., Made], tmp_path: Path) -> None:
    reproduce(make()[0], out=tmp_path, seeds=1)
    with Image.open(tmp_path / "finmteb" / "cpu.png") as picture:
        assert picture.width > 400


def test_a_run_that_was_interrupted_continues(make: Callable[..., Made], tmp_path: Path) -> None:
    broken, first = make({("ours", 1)})
    with pytest.raises(KeyboardInterrupt):
        reproduce(broken, out=tmp_path)
    recipe, second = make()
    evidence = reproduce(recipe, out=tmp_path)
    assert first == [("plain", 0), ("ours", 0), ("plain", 1)]
    assert second == [("ours", 1), ("plain", 2), ("ours", 2)]
    assert evidence["arms"]["ours"]["score"] == pytest.approx([0.6, 0.61, 0.62])


def test_restart_forgets_finished_runs(make: Callable[..., Made], tmp_path: Path) -> None:
    reproduce(make()[0], out=tmp_path, seeds=1)
    recipe, runs = make()
    reproduce(recipe, out=tmp_path, seeds=1, restart=True)
    assert len(runs) == 2


def test_runs_of_other_code_are_not_used(
    make: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reproduce(make()[0], out=tmp_path, seeds=1)
    monkeypatch.setattr(reproduction, "code_digest", lambda: "another")
    recipe, runs = make()
    reproduce(recipe, out=tmp_path, seeds=1)
    assert len(runs) == 2


def test_one_arm_leaves_no_evidence(make: Callable[..., Made], tmp_path: Path) -> None:
    recipe, runs = make()
    evidence = reproduce(recipe, out=tmp_path, arm="ours", seeds=1)
    assert runs == [("ours", 0)]
    assert evidence["verdict"] is None
    assert not (tmp_path / "finmteb" / "cpu.json").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arm": "theirs"}, "no arm 'theirs'; its arms are 'plain', 'ours'"),
        ({"scale": "tpu"}, "scale 'tpu': give cpu or gpu"),
        ({"scale": "gpu"}, "has no gpu scale"),
        ({"seeds": 0}, "0 seeds"),
    ],
)
def test_what_cannot_be_run(
    make: Callable[..., Made], tmp_path: Path, given: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        reproduce(make()[0], out=tmp_path, **given)  # type: ignore[arg-type]


def test_unknown_recipe_is_named() -> None:
    with pytest.raises(BadInput, match="no recipe is called 'nothing'; there are 2dmse, dupmae"):
        find_recipe("nothing")


def test_methods_lists_every_paper_once(make: Callable[..., Made], tmp_path: Path) -> None:
    reproduce(make()[0], out=tmp_path, seeds=1)
    rows = methods(tmp_path)
    assert [row["name"] for row in rows] == [paper.name for paper in PAPERS]
    assert len({row["arxiv"] for row in rows}) == 45
    missing = methods(tmp_path, missing=True)
    assert {row["name"] for row in rows} - {row["name"] for row in missing} == {"finmteb"}


def test_other_json_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"arms": {}}')
    with pytest.raises(BadInput, match="not evidence of polyvec, it lacks baseline"):
        read_evidence(tmp_path / "x.json")
