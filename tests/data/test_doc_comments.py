import pytest

from polyvec.data.doc_comments import parse_comment


@pytest.mark.parametrize(
    ("lines", "summary", "paragraphs"),
    [
        (["// ---- Brewing ----", "// Makes tea now."], "Brewing Makes tea now.", ()),
        (["// eslint-disable-next-line", "// Makes tea now."], "Makes tea now.", ()),
        (["/* Makes tea, and then", "   drinks it. */"], "Makes tea, and then drinks it.", ()),
        (["/** \\brief Makes tea.", " * @see Cup", " */"], "Makes tea.", ()),
        (
            ["/**", " * Makes tea.", " * @example", " * brew(1)", " * @returns {Tea} hot", " */"],
            "Makes tea.",
            ("Returns: hot",),
        ),
        (
            ["/**", " * Makes tea.", " * @param {string} [pot=1] - the pot", " */"],
            "Makes tea.",
            ("pot: the pot",),
        ),
        (["/* Copyright 2020. */", "/* Licensed under MIT. */"], "", ()),
        (["/// Less &lt; more."], "Less < more.", ()),
    ],
)
def test_signs_and_tags_of_comments_are_no_text(lines, summary, paragraphs):
    comment = parse_comment(lines)
    assert (comment.summary, comment.paragraphs) == (summary, paragraphs)
