"""A folder that wants to run code is refused, and nothing of it runs."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from sentence_transformers.base.modules import Module
from tests.conftest import TinyModel

from polyvec.encoders.folder_checks import check_folder
from polyvec.encoders.loading import load
from polyvec.errors import BadInput


@pytest.fixture
def folder(tiny_model_path: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder, to be spoilt."""
    return Path(shutil.copytree(tiny_model_path, tmp_path / "model"))


@pytest.fixture
def code_that_ran(folder: Path) -> Callable[[], bool]:
    """Whether code of the folder ran: each piece of it leaves a file."""
    return lambda: (folder / "ran").exists()


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def set_type(folder: Path, type_name: object, place: int = 1) -> None:
    edit(folder / "modules.json", lambda modules: modules[place].update(type=type_name))


def leaves_a_file(folder: Path) -> str:
    """Python source that shows that it was run."""
    return f"""
import pathlib
pathlib.Path({str(folder / "ran")!r}).touch()
from transformers import BertConfig as Config, BertModel as Model
from sentence_transformers.sentence_transformer.modules import Pooling
"""


class Bomb:
    def __init__(self, folder: Path) -> None:
        self.target = folder / "ran"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


def put_bomb(folder: Path, name: str = "pytorch_model.bin") -> None:
    torch.save({"embeddings.word_embeddings.weight": Bomb(folder)}, folder / name)


@pytest.mark.parametrize(
    "type_name",
    [
        "os.system",
        "modeling_evil.Pooling",
        "evil.Pooling",
        "polyvec_evil.Pooling",
        "polyvec",
        "polyvec.",
        "polyvec...x",
        "polyvec.encoders/../../x",
        "polyvec.encoders.loading.Path\n",
        "polyvec.__main__.main",
        "sentence_transformers._.x",
        "torch.nn.Linear",
        "transformers.BertModel",
    ],
)
def test_a_type_of_another_package_is_refused(
    type_name: str, folder: Path, code_that_ran: Callable[[], bool]
) -> None:
    for name in ("evil.py", "modeling_evil.py", "polyvec_evil.py"):
        (folder / name).write_text(leaves_a_file(folder))
    set_type(folder, type_name)
    with pytest.raises(BadInput, match="is not opened; only modules of") as error:
        load(folder)
    assert str(folder / "modules.json") in str(error.value)
    assert repr(type_name) in str(error.value)
    assert not code_that_ran()


@pytest.mark.parametrize(
    ("type_name", "reason"),
    [
        ("polyvec.nowhere.Pooling", "there is no"),
        ("polyvec.encoders.loading.Nothing", "there is no"),
        ("sentence_transformers.nowhere.Pooling", "there is no"),
        ("polyvec.encoders.loading.load", "not a module of a model"),
        ("polyvec.encoders.loading.SentenceTransformer", "not a module of a model"),
        ("sentence_transformers.base.model.torch", "not a module of a model"),
        ("sentence_transformers.base.model.pickle", "not a module of a model"),
        ("sentence_transformers.base.model.PreTrainedModel", "not a module of a model"),
    ],
)
def test_a_type_that_is_no_module_is_refused(type_name: str, reason: str, folder: Path) -> None:
    set_type(folder, type_name)
    with pytest.raises(BadInput, match=reason):
        load(folder)


def test_a_module_from_elsewhere_under_our_name_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = type("Elsewhere", (Module,), {"__module__": "evil"})
    ours = ModuleType("polyvec.made_up")
    ours.Elsewhere = elsewhere  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polyvec.made_up", ours)
    set_type(folder, "polyvec.made_up.Elsewhere")
    with pytest.raises(BadInput, match="comes from evil"):
        load(folder)


def test_python_files_in_the_folder_are_ignored(
    folder: Path, code_that_ran: Callable[[], bool], tiny_model: TinyModel
) -> None:
    for name in ("__init__", "pooling", "modeling_evil", "sentence_transformers", "polyvec"):
        (folder / f"{name}.py").write_text(leaves_a_file(folder))
    assert (load(folder).encode("a cat") == tiny_model().encode("a cat")).all()
    assert not code_that_ran()


@pytest.mark.parametrize("model_type", ["bert", "evil"])
def test_auto_map_runs_nothing(
    model_type: str, folder: Path, code_that_ran: Callable[[], bool]
) -> None:
    (folder / "modeling_evil.py").write_text(leaves_a_file(folder))
    auto_map = {"AutoConfig": "modeling_evil.Config", "AutoModel": "modeling_evil.Model"}
    edit(folder / "config.json", lambda c: c.update(auto_map=auto_map, model_type=model_type))
    edit(
        folder / "tokenizer_config.json",
        lambda c: c.update(auto_map={"AutoTokenizer": ["modeling_evil.Model", None]}),
    )
    if model_type == "bert":
        load(folder)
    else:
        with pytest.raises(BadInput, match="cannot be opened as a model"):
            load(folder)
    assert not code_that_ran()


def test_a_folder_cannot_trust_itself(folder: Path, code_that_ran: Callable[[], bool]) -> None:
    (folder / "modeling_evil.py").write_text(leaves_a_file(folder))
    trusting = {"trust_remote_code": True}
    edit(
        folder / "sentence_bert_config.json",
        lambda c: c.update(
            dict.fromkeys(("model_kwargs", "processor_kwargs", "config_kwargs"), trusting)
        ),
    )
    edit(
        folder / "config.json",
        lambda c: c.update(
            auto_map={"AutoConfig": "modeling_evil.Config"},
            model_type="evil",
            trust_remote_code=True,
        ),
    )
    with pytest.raises(BadInput, match="cannot be opened as a model"):
        load(folder)
    assert not code_that_ran()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"])
def test_pickled_weights_are_refused(
    name: str, folder: Path, code_that_ran: Callable[[], bool]
) -> None:
    (folder / "model.safetensors").unlink()
    put_bomb(folder, name)
    with pytest.raises(BadInput, match="pickled weights"):
        load(folder)
    assert not code_that_ran()


def test_pickled_weights_of_a_later_module_are_refused(folder: Path) -> None:
    put_bomb(folder / "1_Pooling")
    with pytest.raises(BadInput, match="pickled weights"):
        load(folder)


def test_a_pickle_beside_safetensors_is_not_read(
    folder: Path, code_that_ran: Callable[[], bool]
) -> None:
    """Not even where the folder asks for it, which plain sentence-transformers 6.2 would heed."""
    put_bomb(folder)
    wanted = {"use_safetensors": False, "weights_only": False}
    edit(folder / "sentence_bert_config.json", lambda c: c.update(model_args=wanted))
    load(folder)
    assert not code_that_ran()


def test_the_bomb_is_real(folder: Path, code_that_ran: Callable[[], bool]) -> None:
    (folder / "bomb.pkl").write_bytes(pickle.dumps(Bomb(folder)))
    pickle.loads((folder / "bomb.pkl").read_bytes())
    assert code_that_ran()


@pytest.mark.parametrize("path", ["..", "../other", "/etc", "a/../../b", "..\\x", "C:\\x", "link"])
def test_a_path_out_of_the_folder_is_refused(path: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (folder / "link").symlink_to(tmp_path / "other")
    edit(folder / "modules.json", lambda modules: modules[1].update(path=path))
    with pytest.raises(BadInput, match="leads out of the folder"):
        check_folder(folder)


def test_routes_are_checked_as_well(folder: Path) -> None:
    set_type(folder, "sentence_transformers.base.modules.Router")
    routes = {"types": {"query_0": "evil.Module"}, "structure": {}, "parameters": {}}
    (folder / "1_Pooling" / "router_config.json").write_text(json.dumps(routes))
    with pytest.raises(BadInput, match=r"evil\.Module"):
        check_folder(folder)
    (folder / "1_Pooling" / "router_config.json").write_text('{"types": []}')
    with pytest.raises(BadInput, match="expected the types"):
        check_folder(folder)


@pytest.mark.parametrize("content", ["[]", "{}", "[1]", '[{"name": "0", "path": "", "type": 1}]'])
def test_modules_json_must_list_modules(content: str, folder: Path) -> None:
    (folder / "modules.json").write_text(content)
    with pytest.raises(BadInput, match="expected a list of modules"):
        check_folder(folder)


def test_an_adapter_alone_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match="PEFT adapter"):
        check_folder(folder)
