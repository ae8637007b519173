import gzip

import pytest

from polyvec.data import text_lines
from polyvec.data.text_lines import Line, parse_object, read_lines
from polyvec.errors import BadInput


@pytest.fixture
def write(tmp_path):
    def write(content: bytes):
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write


def texts(path):
    return [line.text for line in read_lines(path)]


def test_lines_are_numbered_and_line_ends_unified(write):
    assert list(read_lines(write(b"one\r\ntwo"))) == [Line(1, "one\n"), Line(2, "two")]
    assert texts(write(b"")) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(write, encoding):
    assert texts(write("föld\nég".encode(encoding))) == ["föld\n", "ég"]


def test_an_encoding_without_mark_is_guessed(write):
    text = "Příliš žluťoučký kůň úpěl ďábelské ódy.\n" * 20
    assert texts(write(text.encode("cp1250"))) == [text[: len(text) // 20]] * 20


def test_a_damaged_line_in_utf8_is_reported_and_the_others_are_read(write):
    path = write("égő\n".encode() + b"caf\xe9\n" + "víz\n".encode())
    assert list(read_lines(path)) == [
        Line(1, "égő\n"),
        Line(2, "", "not utf-8 text"),
        Line(3, "víz\n"),
    ]


def test_a_character_cut_by_the_end_of_the_sample_is_no_damage(write, monkeypatch):
    monkeypatch.setattr(text_lines, "_SAMPLE", 4)
    assert texts(write("abcé".encode())) == ["abcé"]


def test_a_line_too_long_is_passed_over(write, monkeypatch):
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 8)
    lines = list(read_lines(write(b"short\n" + b"x" * 30 + b"\n" + b"last\n" + b"y" * 9)))
    assert [(line.number, line.text, bool(line.problem)) for line in lines] == [
        (1, "short\n", False),
        (2, "", True),
        (3, "last\n", False),
        (4, "", True),
    ]


def test_gzip_is_recognised_by_its_content(write):
    assert texts(write(gzip.compress(b"one\ntwo\n", mtime=0))) == ["one\n", "two\n"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"text\n" * 1000, mtime=0)[:-9], "cut off or damaged"),
        (b"\x1f\x8b nonsense", "cut off or damaged"),
        (b"GIF\0\0", "binary, not text"),
        (b"\xff\xfea\0\0\xdc", "not text in the encoding"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(write, content, reason):
    path = write(content)
    with pytest.raises(BadInput, match=reason) as error:
        list(read_lines(path))
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(BadInput, match="there is no such file"):
        list(read_lines(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="cannot be opened: Is a directory"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1', "not JSON .* at character 8"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ('{"text": "\\ud83d"}', "half a surrogate pair"),
    ],
)
def test_a_line_that_is_no_json_object(text, reason):
    with pytest.raises(BadInput, match=reason):
        parse_object(text)


def test_a_whole_surrogate_pair_is_a_character():
    assert parse_object('{"text": "\\ud83d\\ude00"}') == {"text": "😀"}
