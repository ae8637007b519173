"""Data sets from the Hugging Face hub, a document in each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from polyvec.data.documents import Reading
from polyvec.data.row_documents import Row, choose_columns, documents_of_rows
from polyvec.errors import BadInput

if TYPE_CHECKING:
    from datasets import Dataset

SPLIT = "train"
"""The split that is read; of a data set without it, the first."""
_PATIENCE = 10.0
"""Seconds to wait for the hub's first answer."""
_LOCAL = "a path to a local folder or file needs no hub"


def read_hub_dataset(name: str, text_column: str | None = None) -> Reading:
    """Read the training split of a data set, or else its first split.

    Where the environment variable ``HF_HUB_OFFLINE`` is 1, only what was downloaded before is used.
    Code that a data set brings along is never run.

    Args:
        name: as the hub lists it, ``owner/name``.
        text_column: the column that holds the text; found by its name where None, as in a table.

    Returns:
        The documents, and every row without usable text with the reason; ids are as in
        `read_table`, the data set's name before the ``#``.

    Raises:
        BadInput: when the hub cannot be reached within seconds, has no such data set, or it has no
            such column.
    """
    data = _training_split(name)
    columns = choose_columns(data.column_names, text_column, name)
    return documents_of_rows(_rows(data.select_columns(columns.used)), columns, name)


def _rows(data: Dataset) -> Iterator[Row]:
    return (Row(number, values) for number, values in enumerate(data, 1))


def _training_split(name: str) -> Dataset:
    from datasets import load_dataset

    _refuse_unreachable(name)
    try:
        splits = load_dataset(name)
    except ConnectionError:
        raise BadInput(
            f"{name}: not downloaded before, and there is no connection; {_LOCAL}"
        ) from None
    except Exception as error:  # whatever a broken or unusual data set leads to
        reason = " ".join(str(error).split())
        raise BadInput(f"{name}: the data set cannot be loaded ({reason})") from None
    return splits[SPLIT] if SPLIT in splits else next(iter(splits.values()))


def _refuse_unreachable(name: str) -> None:
    """Ask the hub once, because `load_dataset` asks again and again for half a minute."""
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if is_offline_mode():
        return
    try:
        HfApi().dataset_info(name, timeout=_PATIENCE)
    except GatedRepoError:
        raise BadInput(
            f"{name}: its owner wants to be asked; log in with `hf auth login`"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise BadInput(f"{name}: the Hugging Face hub has no such data set; {_LOCAL}") from None
    except Exception:  # the HTTP library's own errors, which the hub's library does not wrap
        raise BadInput(
            f"{name}: the Hugging Face hub cannot be reached; HF_HUB_OFFLINE=1 uses what was downloaded before, and "
            f"{_LOCAL}"
        ) from None
