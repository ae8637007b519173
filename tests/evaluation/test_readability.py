import pytest

from polyvec.errors import BadInput
from polyvec.evaluation.readability import gunning_fog, is_complex, sentences, syllables


def test_fog_counted_by_hand():
    # 10 words, 2 sentences; complex: consolidated (con-sol-i-dat without -ed), dividend, subsidiary.
    text = "The consolidated group paid a dividend. Its subsidiary paid none."
    assert gunning_fog([text]).mean == pytest.approx(0.4 * (10 / 2 + 100 * 3 / 10))


def test_a_sentence_of_short_words_counts_its_words_only():
    assert gunning_fog(["The cat sat on the mat."]).mean == pytest.approx(0.4 * 6)


def test_names_are_not_complex_unless_they_begin_a_sentence():
    assert gunning_fog(["We met Alexander."]).mean == pytest.approx(0.4 * 3)
    assert gunning_fog(["Alexander met us."]).mean == pytest.approx(0.4 * (3 + 100 / 3))


def test_in_capitals_alone_nothing_is_a_name():
    assert gunning_fog(["PAY A DIVIDEND"]).mean == pytest.approx(0.4 * (3 + 100 / 3))


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("cat", 1),
        ("rate", 1),
        ("the", 1),
        ("table", 2),
        ("employee", 3),
        ("market", 2),
        ("dividend", 3),
        ("uncertainty", 4),
        ("volatility", 5),
        ("rhythm", 1),
        ("1990", 1),
    ],
)
def test_syllables(word, count):
    assert syllables(word) == count


@pytest.mark.parametrize(
    ("word", "hard"),
    [
        ("created", False),  # cre-at
        ("amortized", True),  # a-mor-tiz
        ("examples", True),  # ex-am-ple
        ("processes", False),
        ("financing", False),  # fi-nanc
        ("considering", True),
        ("king", False),
        ("everybody", False),
        ("shareholders", False),
        ("year-end", False),
        ("long-term-volatility", True),
        ("company's", True),
        ("1,000,000", False),
    ],
)
def test_complex_words(word, hard):
    assert is_complex(word) is hard


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("It rose 3.5 % to $2.1 million.", 1),
        ("Acme Corp. and Beta Inc. merged in the U.S. on Jan. 5.", 1),
        ("J. P. Morgan spoke.", 1),
        ('He said "no." She left.', 2),
        ("A heading\n\nA line\nthat goes on", 2),
        ("Wait... what?", 2),
        ("no mark at all", 1),
    ],
)
def test_sentences(text, count):
    assert len(sentences(text)) == count


def test_fog_of_many_texts_is_their_mean():
    found = gunning_fog(["The cat sat.", "A big dog ran off."])
    assert found.values.tolist() == pytest.approx([1.2, 2.0])
    assert found.mean == pytest.approx(1.6)


def test_short_commands_without_function_words_pass():
    assert gunning_fog(["freeze account", "pay bill"]).mean > 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "there is no text"),
        (["ok", "--"], "text 2 of 2 is empty"),
        (["It fell.", "今天市场下跌了"], "text 2 of 2 is not English"),
        (["Der Markt ist heute gefallen, und die Zinsen sind nicht mehr so hoch."], "German"),
        (["Le marché est tombé parce que les taux ne sont pas assez hauts."], "French"),
    ],
)
def test_what_fog_cannot_measure(texts, message):
    with pytest.raises(BadInput, match=message):
        gunning_fog(texts)
