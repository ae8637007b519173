"""The command line: one sentence and exit code 2 for what cannot be done, results on standard output."""

import json
from pathlib import Path

import pandas as pd
import pytest

from polyvec import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of a command."""
    monkeypatch.setattr("sys.argv", ["polyvec", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["evaluate", "minilm"], "give either --on FOLDER or --suite NAMES"),
        (["evaluate", "minilm", "--on", "x", "--suite", "sts"], "give either --on FOLDER"),
        (["evaluate", "minilm", "--suite", "nothing-like-it"], "no suite or task is called"),
        (["evaluate", "minilm", "--on", "nowhere"], "nowhere: no exam there"),
        (["reproduce"], "give the NAME of a recipe"),
        (["reproduce", "nothing"], "no recipe is called 'nothing'"),
        (["reproduce", "finmteb", "--arm", "theirs"], "has no arm 'theirs'"),
        (["reproduce", "finmteb", "--scale", "gpu"], "has no gpu scale"),
        (["shrink", "minilm"], "give an exam to measure sizes on (--on)"),
        (["shrink", "minilm", "--quantise", "int4"], "quantise 'int4': give int8 or binary"),
        (["complexity", "nowhere.txt"], "nowhere.txt"),
        (["domain-gap", "nowhere.csv", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["adapt", "docs", "--hard-negatives", "99"], "give 0 to 15 a pair"),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("polyvec: ")
    assert sentence in said


def test_recipes_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "reproduce", "--list") == 0
    assert "finmteb (cpu " in capsys.readouterr().out


def test_methods_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "methods", "--json", "--evidence", str(tmp_path)) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 45
    assert {row["name"] for row in rows if row["recipe"]} >= {"finmteb"}


def test_complexity_of_two_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sources = []
    for name, text in (("a", "The market fell.\nIt rose again.\n"), ("b", "a a b\nthe same\n")):
        (tmp_path / f"{name}.txt").write_text(text)
        sources.append(str(tmp_path / f"{name}.txt"))
    assert run(monkeypatch, "complexity", *sources, "--out", str(tmp_path / "c.csv")) == 0
    table = pd.read_csv(tmp_path / "c.csv")
    assert list(table["dataset"]) == sources
    assert table["entropy"].notna().all()
    assert "lexical_error: n/a" in capsys.readouterr().out


def test_domain_gap_writes_its_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from polyvec.recipes.finmteb_simulation import simulate_gap

    results, complexity = simulate_gap(0)
    results.to_csv(tmp_path / "scores.csv", index=False)
    complexity.to_csv(tmp_path / "complexity.csv", index=False)
    paths = [str(tmp_path / name) for name in ("scores.csv", "complexity.csv", "gap.html")]
    assert run(monkeypatch, "domain-gap", paths[0], paths[1], "--out", paths[2]) == 0
    assert "finance" in capsys.readouterr().out
    assert "<html" in Path(paths[2]).read_text()
    assert (tmp_path / "gap.json").exists()
    assert (tmp_path / "gap" / "regression.csv").exists()


def test_merging_two_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model
) -> None:
    import torch

    models = [tiny_model() for _ in range(3)]
    for number, model in enumerate(models):
        with torch.no_grad():
            for weight in model.parameters():
                weight += 1e-3 * number * torch.randn(weight.shape)
        model.save_pretrained(str(tmp_path / str(number)), create_model_card=False)
    monkeypatch.chdir(tmp_path)
    given = ["merge", "--base", "./0", "--model", "./1", "--model", "./2", "--device", "cpu"]
    assert run(monkeypatch, *given, "--weights", "1,2", "--out", "merged") == 0
    assert "task vectors" in capsys.readouterr().out
    assert json.loads((tmp_path / "merged" / "merge.json").read_text())["models"] == ["1", "2"]
    assert (tmp_path / "merged" / "task-vectors.png").exists()
    for wrong, sentence in (
        (["--weights", "1,x"], "--weights 1,x: give numbers"),
        (["--method", "cocktail"], "cocktail chooses by data: give a probe"),
        (["--steps", "3"], "slerp has no option 'steps'"),
    ):
        assert run(monkeypatch, *given, *wrong) == 2
        assert sentence in capsys.readouterr().err


def test_shrinking_a_model_and_encoding_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model
) -> None:
    import numpy as np

    from polyvec.data.beir import write_beir

    tiny_model().save_pretrained(str(tmp_path / "tiny"), create_model_card=False)
    words = ["cat", "dog", "fish", "bird", "boat", "house", "river", "stone", "garden", "moon"]
    corpus = {word: ("", f"the {word} is near the road") for word in words}
    queries = {f"q{word}": f"find a {word}" for word in words}
    write_beir(tmp_path / "exam", corpus, queries, {f"q{word}": {word: 1} for word in words})
    monkeypatch.chdir(tmp_path)
    given = ["shrink", "./tiny", "--layers", "1", "--dims", "16", "--quantise", "binary"]
    assert run(monkeypatch, *given, "--on", "exam", "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert "64/16/2" in said
    assert "Model: smaller/model   Values: smaller/frontier.json   Picture:" in said
    (tmp_path / "texts.txt").write_text("a cat\na dog\n")
    for name, options, shape in (("kept", [], (2, 2)), ("asked", ["--float32"], (2, 16))):
        encode = ["encode", "smaller/model", "texts.txt", "--out", f"{name}.npy", *options]
        assert run(monkeypatch, *encode, "--device", "cpu") == 0
        assert np.load(tmp_path / f"{name}.npy").shape == shape
