import pytest

from polyvec.compression.cost import folder_bytes, latency, saved_bytes
from polyvec.compression.truncation import truncate
from polyvec.encoders.loading import save


def test_bytes_are_those_on_the_disk(tiny_model, tmp_path):
    model = tiny_model()
    save(model, tmp_path / "model")
    on_disk = sum(path.stat().st_size for path in (tmp_path / "model").rglob("*") if path.is_file())
    assert folder_bytes(tmp_path / "model") == on_disk == saved_bytes(model)
    assert saved_bytes(truncate(model, layers=1)) < on_disk


def test_a_text_alone_takes_less_than_many_and_settings_stay(tiny_model):
    model = tiny_model()
    model.max_seq_length = 50
    found = latency(model, rounds=3)
    assert 0 < found.one < found.thirty_two
    assert model.max_seq_length == 50


def test_what_is_timed_is_64_tokens(tiny_model, monkeypatch):
    model = tiny_model()
    seen = []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda f, **k: seen.append(tuple(f["input_ids"].shape)) or forward(f, **k)
    )
    latency(model, rounds=1)
    assert seen == [(1, 64)] * 3 + [(32, 64)] * 3


@pytest.mark.parametrize("reads", [16])
def test_a_model_that_reads_less_gets_less(tiny_model, reads):
    model = tiny_model()
    model.max_seq_length = reads
    assert latency(model, rounds=1).one > 0
    assert model.max_seq_length == reads
