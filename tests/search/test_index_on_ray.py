"""An index whose passages were encoded on Ray, which is started for it and ended with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.search import changes
from polyvec.search.index import Index

ray = pytest.importorskip("ray")


def test_the_same_index_as_in_one_process(
    tmp_path: Path, docs: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "COMMIT", 1)
    here = Index.build(tmp_path / "here", str(docs), model=model)
    there = Index.build(tmp_path / "there", str(docs), model=model, engine="ray")
    assert not ray.is_initialized()
    assert there.changes == here.changes
    assert there.rows() == here.rows()
    np.testing.assert_allclose(there.vectors(), here.vectors(), atol=1e-6)
    again = Index.build(tmp_path / "there", str(docs), engine="ray")  # no worker is started
    assert again.changes is not None
    assert again.changes.encoded == 0


def test_an_open_model_cannot_travel(tmp_path: Path, docs: Path, model: Path) -> None:
    with pytest.raises(BadInput, match="workers open the model by its name"):
        Index.build(tmp_path / "index", str(docs), model=load(model), engine="ray")
