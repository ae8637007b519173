import pytest

from polyvec.data.benchmarks.json_values import read_json_value
from polyvec.errors import BadInput


def test_values_know_their_place(put):
    whole = read_json_value(put("a.json.gz", '{"data": [{"id": 1}, {"id": 2, "text": "b"}]}'))
    _, second = whole.items("data")
    assert (second.whole("id"), second.text("text")) == (2, "b")
    assert second.part("text").place == "data[1].text"
    assert list(second.parts()) == ["id", "text"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n"a": }', r"a\.json:2: not JSON \(Expecting value\)"),
        ('{"a": 1', r"a\.json:1: not JSON"),
        ("", r"a\.json:1: not JSON"),
        (b'"caf\xe9"', r"a\.json: not utf-8 text \(byte 4\)"),
        ("[" * 100_000, r"a\.json: JSON nested too deeply"),
        ("9" * 5000, r"a\.json: not JSON \(Exceeds the limit"),
        ("[]", r"a\.json: the whole file: not an object; it would be one with 'data'"),
        ('{"dat": []}', r"a\.json: the whole file: no 'data' in it; there is 'dat'"),
        ('{"data": {}}', r"a\.json: data: not a list"),
        ('{"data": ["a"]}', r"a\.json: data\[0\]: not an object"),
        ('{"data": [{"text": 1}]}', r"a\.json: data\[0\]\.text: not a string with text in it"),
        ('{"data": [{"text": " "}]}', r"a\.json: data\[0\]\.text: not a string with text"),
        ('{"data": [{"text": "\\ud800"}]}', r"a\.json: data\[0\]\.text: half a surrogate pair"),
        ('{"data": [{"text": "a", "id": true}]}', r"data\[0\]\.id: not a whole number"),
        ('{"data": [{"text": "a", "id": "1"}]}', r"data\[0\]\.id: not a whole number"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(put, text, reason):
    path = put("a.json", text)
    with pytest.raises(BadInput, match=reason):
        [(one.text("text"), one.whole("id")) for one in read_json_value(path).items("data")]


def test_a_list_has_no_parts(put):
    with pytest.raises(BadInput, match="the whole file: not an object"):
        read_json_value(put("a.json", "[]")).parts()
