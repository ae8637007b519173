from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module
from tests.conftest import TinyModel

from polyvec.encoders import loading
from polyvec.encoders.loading import load, model_fingerprint
from polyvec.errors import BadInput


class Doubling(Module):
    """A module as polyvec's own are: with a configuration and weights."""

    config_keys = ("dimensions",)

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.factor = torch.nn.Parameter(torch.full((dimensions,), 2.0))

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = features["sentence_embedding"] * self.factor
        return features

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> Doubling:
        config = cls.load_config(model_name_or_path, subfolder=subfolder)
        module = cls.load_torch_weights(
            model_name_or_path, subfolder=subfolder, model=cls(**config)
        )
        assert isinstance(module, cls)
        return module


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> type[Doubling]:
    """`Doubling`, as if it were defined in a module of polyvec."""
    home = ModuleType("polyvec.made_up")
    home.Doubling = Doubling  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polyvec.made_up", home)
    monkeypatch.setattr(Doubling, "__module__", "polyvec.made_up")
    return Doubling


def test_opens_a_sentence_transformers_folder(tiny_model: TinyModel, tiny_model_path: Path) -> None:
    for folder in (tiny_model_path, str(tiny_model_path)):
        model = load(folder, device="cpu")
        assert model.device.type == "cpu"
        np.testing.assert_array_equal(model.encode("a cat"), tiny_model().encode("a cat"))


def test_opens_a_transformers_folder(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model()
    model[0].model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    opened = load(tmp_path, device="cpu")
    np.testing.assert_allclose(opened.encode("a cat"), model.encode("a cat"), atol=1e-6)


def test_opens_our_own_modules_untold(
    tiny_model: TinyModel, doubling: type[Doubling], tmp_path: Path
) -> None:
    model = tiny_model()
    plain = model.encode("a cat")
    model.append(doubling(32))
    model.save_pretrained(str(tmp_path), create_model_card=False)
    np.testing.assert_allclose(load(tmp_path, "cpu").encode("a cat"), 2 * plain, atol=1e-6)
    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer(str(tmp_path))


def test_prompts_survive(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model()
    model.prompts = {"query": "find "}
    model.save_pretrained(str(tmp_path), create_model_card=False)
    assert load(tmp_path).prompts["query"] == "find "


@pytest.mark.parametrize("name", ["no-such-model-xyz", "no-one-xyz/no-such-model", "bert.v2_x"])
def test_an_unknown_name_fails_at_once(name: str) -> None:
    start = time.perf_counter()
    with pytest.raises(BadInput, match=f"^{name}: no such folder, and the hub has no such model"):
        load(name)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "a/b/c", "a b", "C:\\model"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(BadInput, match="no such folder; give one"):
        load(name)


def test_a_path_is_never_a_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder; give one"):
        load(Path("minilm"))
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="a file; give the folder"):
        load(tmp_path / "file")


def test_only_safe_files_come_from_the_hub(
    tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def download(name: str, **options: Any) -> str:
        asked.append((name, options["allow_patterns"]))
        return str(tiny_model_path)

    monkeypatch.setattr(loading, "snapshot_download", download)
    load("some-model", "cpu")
    load("someone/some-model", "cpu")
    load("bert-base-uncased", "cpu")
    names, patterns = zip(*asked, strict=True)
    assert names == (
        "sentence-transformers/some-model",
        "someone/some-model",
        "bert-base-uncased",
    )
    assert not {"*.py", "*.bin", "*"} & set(patterns[0])


@pytest.mark.parametrize("device", ["quatsch", "cuda:99", "meta", ""])
def test_an_unusable_device_is_named(device: str, tiny_model_path: Path) -> None:
    with pytest.raises(BadInput, match=f"device '{device}': not usable"):
        load(tiny_model_path, device)


def test_auto_takes_the_fastest_device(
    tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert load(tiny_model_path).device.type == "cpu"


def spoil_nothing(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def bad_modules(folder: Path) -> None:
    (folder / "modules.json").write_text('[{"name": ')


def bad_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"hidden_size": ')


def bad_pooling(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").write_text("[]")


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_nothing,
        no_config,
        no_weights,
        cut_weights,
        empty_weights,
        bad_modules,
        bad_config,
        bad_pooling,
        no_tokenizer,
    ],
)
def test_a_broken_folder_is_named_in_one_sentence(
    spoil: Any, tiny_model_path: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_path, tmp_path / "model"))
    spoil(folder)
    with pytest.raises(BadInput) as error:
        load(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_fingerprint_follows_what_decides_vectors(
    tiny_model: TinyModel, tiny_model_path: Path
) -> None:
    model = tiny_model()
    first = model_fingerprint(model)
    assert first == model_fingerprint(load(tiny_model_path, "cpu"))
    assert len(first) == 64
    seen = {first}
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-3
    seen.add(model_fingerprint(model))
    model.prompts = {"query": "find "}
    seen.add(model_fingerprint(model))
    model.max_seq_length = 16
    seen.add(model_fingerprint(model))
    assert len(seen) == 4


def test_encoding_leaves_the_fingerprint_as_it_was(tiny_model: TinyModel) -> None:
    model = tiny_model()
    first = model_fingerprint(model)
    model.encode(["a dog", "a cat and a dog"], show_progress_bar=False)
    assert model_fingerprint(model) == first


def test_fingerprint_of_a_folder(tiny_model_path: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_path, tmp_path / "model"))
    first = model_fingerprint(folder)
    assert first == model_fingerprint(str(tiny_model_path))
    (folder / "README.md").write_text("words about the model")
    assert model_fingerprint(folder) == first
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    assert model_fingerprint(folder) != first
