import time

import datasets
import huggingface_hub
import pytest
from datasets import Dataset, DatasetDict
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from polyvec.data.documents import Skipped
from polyvec.data.hub import read_hub_dataset
from polyvec.errors import BadInput

ROWS = {"id": ["a", "b", "c"], "Body": ["One.", None, "Three."], "vector": [[1.0], [2.0], [3.0]]}


@pytest.fixture
def loaded(monkeypatch):
    """Let `load_dataset` give or raise something."""

    def use(result):
        def load_dataset(name):
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    return use


@pytest.fixture
def hub(monkeypatch):
    """Let the hub answer with an error."""

    def use(error):
        def dataset_info(self, name, timeout):
            raise error

        monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
        monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)

    return use


def test_rows_of_the_training_split_are_documents(loaded):
    other = Dataset.from_dict({"text": ["no"]})
    loaded(DatasetDict({"test": other, "train": Dataset.from_dict(ROWS)}))
    reading = read_hub_dataset("owner/tea")
    assert [(d.id, d.text) for d in reading.documents] == [
        ("owner/tea#a", "One."),
        ("owner/tea#c", "Three."),
    ]
    assert reading.skipped == [Skipped("owner/tea:2", "no text in 'Body'")]


def test_without_a_training_split_the_first_is_read(loaded):
    splits = {"corpus": Dataset.from_dict({"t": ["x"]}), "rest": Dataset.from_dict({"t": ["y"]})}
    loaded(DatasetDict(splits))
    assert [d.text for d in read_hub_dataset("tea", "t").documents] == ["x"]


def test_a_missing_column_lists_those_that_exist(loaded):
    loaded(DatasetDict({"train": Dataset.from_dict({"a": ["x"], "b": ["y"]})}))
    with pytest.raises(BadInput, match=r"tea: no text column .*there are: a, b"):
        read_hub_dataset("tea")


def test_offline_it_fails_at_once():
    start = time.monotonic()
    with pytest.raises(BadInput, match=r"owner/nothing: not downloaded before.*local folder"):
        read_hub_dataset("owner/nothing")
    assert time.monotonic() - start < 5


def test_a_data_set_that_cannot_be_loaded(loaded):
    loaded(RuntimeError("Dataset scripts are no longer\nsupported"))
    with pytest.raises(
        BadInput, match=r"tea: .*loaded \(Dataset scripts are no longer supported\)"
    ):
        read_hub_dataset("tea")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no route"), "tea: the Hugging Face hub cannot be reached; HF_HUB_OFFLINE=1"),
        (RepositoryNotFoundError, "tea: the Hugging Face hub has no such data set"),
        (GatedRepoError, "tea: its owner wants to be asked"),
    ],
)
def test_what_the_hub_answers(hub, error, reason):
    hub(error if isinstance(error, Exception) else error.__new__(error))
    with pytest.raises(BadInput, match=reason):
        read_hub_dataset("tea")
