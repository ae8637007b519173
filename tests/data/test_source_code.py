import pytest

from polyvec.data.documents import Section
from polyvec.data.source_code import CODE_LIMIT, SUFFIXES, read_source_code
from polyvec.errors import BadInput


def read(name, *lines):
    return read_source_code("\n".join(lines).encode(), name)


def test_the_languages_that_are_read():
    wanted = (
        ".js .ts .tsx .jsx .java .c .h .cc .cpp .hpp .cs .go .rs .rb .php .swift .kt .scala .sh"
        " .lua .r .jl .pl .sql"
    )
    assert set(wanted.split()) <= SUFFIXES
    assert ".py" not in SUFFIXES


def test_a_comment_above_a_definition_sums_it_up():
    document = read(
        "src/Tea.java",
        "package tea;",
        "",
        "/**",
        " * Brews {@code Tea} for <b>all</b>. Slowly.",
        " *",
        " * It waits.",
        " * @author Somebody",
        " */",
        '@Service("tea")',
        "public class Tea extends Drink {",
        "    private int water = 1;",
        "",
        "    /** Pours the given amount into a cup.",
        "     * @param amount in millilitres",
        "     * @throws IOException when it spills",
        "     */",
        "    @Override",
        "    public void pour(int amount) {",
        "        // The cup is full here",
        "        cup.fill(amount);",
        "    }",
        "}",
    )
    assert (document.id, document.group, document.title) == ("src/Tea.java",) * 3
    tea, pour = document.sections
    assert tea == Section(
        heading="Tea",
        anchor="Tea",
        summary="Brews Tea for all.",
        paragraphs=("Slowly.", "It waits."),
        code='@Service("tea")\npublic class Tea extends Drink {\n    private int water = 1;\n\n'
        "    @Override\n    public void pour(int amount) {\n}",
    )
    assert pour == Section(
        heading="Tea.pour",
        path=("Tea",),
        anchor="Tea.pour",
        summary="Pours the given amount into a cup.",
        paragraphs=("amount: in millilitres", "Raises IOException: when it spills"),
        code="@Override\npublic void pour(int amount) {\n    // The cup is full here\n"
        "    cup.fill(amount);\n}",
    )


def test_the_comment_that_opens_a_file_without_its_licence():
    document = read(
        "tea.go",
        "// Copyright 2020 The Tea Authors. All rights reserved.",
        "",
        "// Package tea brews tea for everybody. It is quick.",
        "//",
        "// More about it.",
        "package tea",
        "",
        "// Brew makes one cup of tea.",
        "func (p *Pot) Brew(w Water) (Tea, error) {",
        "\treturn p.brew(w), nil",
        "}",
        "",
        "func private() {",
        "\t// Comments in a body say nothing of it",
        "\tfoo()",
        "}",
    )
    assert document.title == "Package tea brews tea for everybody."
    opening, brew = document.sections
    assert opening == Section(paragraphs=("It is quick.", "More about it."))
    assert (brew.heading, brew.summary) == ("Brew", "Brew makes one cup of tea.")
    assert brew.code == ("func (p *Pot) Brew(w Water) (Tea, error) {\n    return p.brew(w), nil\n}")


def test_a_file_without_comments_is_one_section_of_code():
    document = read("a.js", "// Copyright 2020 Tea", "", "let x = 1", "brew(x)")
    assert document.title == "a.js"
    assert document.sections == (Section(code="let x = 1\nbrew(x)"),)


def test_a_comment_too_short_to_sum_up_stays_as_text():
    (section,) = read("a.js", "// Helpers here", "function help() {}").sections
    assert (section.summary, section.paragraphs) == ("", ("Helpers here",))


def test_long_code_is_cut_at_a_line_end():
    body = ["    x = x + 1;"] * 1000
    (section,) = read("a.c", "// Adds one many times", "void add(void)", "{", *body, "}").sections
    assert len(section.code) <= CODE_LIMIT
    assert section.code.endswith("    x = x + 1;")


def test_an_unclosed_comment_and_nothing_at_all():
    assert read("a.c", "/* never closed", "int x;").title == "never closed int x;"
    assert read("a.c", "", "  ").text == ""
    with pytest.raises(BadInput, match="0 bytes"):
        read("a.c", "")
    with pytest.raises(BadInput, match="binary"):
        read_source_code(b"\x7fELF\0\0", "a.c")


@pytest.mark.parametrize("line", ["word " * 20_000, "-" * 50_000 + "x" * 50_000, "a(" * 50_000])
@pytest.mark.parametrize("name", ["a.c", "a.ts", "a.rs", "a.sql", "a.sh"])
def test_a_long_line_of_data_does_not_take_long(name, line):
    read(name, f"// {line}", f"-- {line}", f"# {line}", line)
