"""Small samples of each language, read as a user would have them read."""

import pytest

from polyvec.data.source_code import read_source_code

JAVASCRIPT = (
    "a.ts",
    "// Adds two given numbers.",
    "export const add = (a: number, b: number): number => a + b;",
    "/* Subtracts one from another. */",
    "export async function subtract(a, b) {",
    "  return a - b",
    "}",
    "/** Keeps the sum of all. */",
    "export default class Sum<T> {",
    "  /** Gives back what was summed. */",
    "  async value() {",
    "    return this.sum",
    "  }",
    "  /** Sets it to zero again. */",
    "  delete(): void {",
    "    this.sum = 0",
    "  }",
    "}",
    "// Most numbers that are added.",
    "const MOST_NUMBERS = 10",
    "// A test of the thing",
    "it('adds', function () {",
    "  add(1, 2)",
    "})",
)
C = (
    "a.c",
    "/* Largest size of a pot,",
    "   counted in cups. */",
    "#define POT_SIZE 8",
    "",
    "/// Brews some tea here.",
    "static struct tea *",
    "brew (struct pot *p,",
    "      int cups)",
    "{",
    "#ifdef DEBUG",
    "  log (p);",
    "#endif",
    "  return p->tea;",
    "fail:",
    "  return NULL;",
    "}",
    "",
    "// One single cup of tea.",
    "struct cup {",
    "  int size;",
    "};",
    "/* Pours it all out. */",
    "int pour(struct cup *c);",
    "// After the last definition.",
)
CPP = (
    "a.hpp",
    "namespace tea {",
    "// Keeps the water hot.",
    "template <typename T>",
    "class TEA_API Pot final : public Vessel<T> {",
    " public:",
    "  // Makes an empty new pot.",
    "  explicit Pot(int size);",
    "  // Closes the lid tightly again.",
    "  virtual bool close() const = 0;",
    "};",
    "// Fills the pot to the top.",
    "Pot::Pot(int size) : size_(size) {",
    "  fill();",
    "}",
    "}  // namespace tea",
)
RUST = (
    "a.rs",
    "//! Everything there is about tea.",
    "",
    "use std::io;",
    "",
    "/// A pot that `holds` tea.",
    "#[derive(Debug)]",
    "pub struct Pot<T> {",
    "    /// Not a definition by itself",
    "    tea: T,",
    "}",
    "",
    "impl<T> fmt::Display for Pot<T> {",
    "    /// Writes out what is inside.",
    "    pub(crate) fn fmt(",
    "        &self,",
    "    ) -> fmt::Result {",
    "        Ok(())",
    "    }",
    "}",
)
RUBY = (
    "a.rb",
    "# frozen_string_literal: true",
    "module Tea",
    "  # Brews it for you.",
    "  class Pot < Vessel",
    "    # Is there nothing in it?",
    "    def empty?",
    "      @tea.nil?",
    "    end",
    "  end",
    "end",
)
JULIA = (
    "a.jl",
    '"""',
    "    brew(water)",
    "",
    "Brew tea with hot water.",
    '"""',
    "function brew(water)",
    "    water + 1",
    "end",
    "",
    "# One more cup of it.",
    "more(cup) = cup + 1",
)
SQL = (
    "a.sql",
    "-- All the cups there are.",
    "CREATE TABLE IF NOT EXISTS tea.cups (",
    "  id int",
    ");",
    "/* Only the full cups. */",
    "create or replace view full_cups as",
    "select * from cups",
    "where full;",
    "-- Counts all full cups.",
    "create function count_full() returns int as $$",
    "select 1;",
    "$$ language sql;",
)
LUA = (
    "a.lua",
    "--- Brews tea with water.",
    "-- @param water hot",
    "local function brew(water)",
    "  return water",
    "end",
    "--[[ Pours out all of it.",
    "]]",
    "M.pour = function(cup)",
    "end",
)
SHELL = (
    "a.sh",
    "#!/bin/sh",
    "# Brews tea in the evening.",
    "",
    "# Boils all of the water.",
    "boil() {",
    "  echo hot",
    "}",
)
R = (
    "a.R",
    "#' Brew a pot of tea",
    "#'",
    "#' @param water Hot water.",
    "#' @export",
    "brew <- function(water) {",
    "  water",
    "}",
)
PERL = ("a.pl", "# Brews a pot of tea.", "sub brew {", "    return 1;", "}")
PHP = (
    "a.php",
    "<?php",
    "/** Tea for the whole world. */",
    "namespace Tea;",
    "/**",
    " * Keeps hot water inside.",
    " */",
    "final class Pot",
    "{",
    "    /**",
    "     * Pours out some of it.",
    "     * @param int|null $cups how many",
    "     */",
    "    public static function pour($cups)",
    "    {",
    "    }",
    "}",
)
KOTLIN = (
    "a.kt",
    "/** A cup and its size. */",
    "data class Cup(val size: Int)",
    "/** Fills the cup with tea. */",
    "fun Cup.fill(tea: Tea): Cup =",
    "    copy(tea)",
    "/** One that all can share. */",
    "object Shared : Cup(1) {",
    "}",
)
SWIFT = (
    "a.swift",
    "/// Something that can be poured.",
    "public protocol Pourable {",
    "    /// Pours it into a cup.",
    "    func pour(into cup: Cup) throws -> Int",
    "}",
)
SCALA = ("a.scala", "/** Brews tea with water. */", "def brew(w: Water): Tea = {", "  w", "}")
CSHARP = (
    "a.cs",
    "namespace Tea",
    "{",
    "    /// <summary>",
    '    /// Keeps <see cref="T:Water"/> hot.',
    "    /// </summary>",
    "    [Serializable]",
    "    public sealed class Pot",
    "    {",
    "        /// <summary>How much is in it.</summary>",
    "        public int Level { get; set; }",
    "        /// <summary>Pours out some tea.</summary>",
    '        /// <param name="cups">How many.</param>',
    "        /// <returns>What is left.</returns>",
    "        public async Task<int> Pour(int cups)",
    "        {",
    "            return 1;",
    "        }",
    "    }",
    "}",
)


def read(name, *lines):
    return read_source_code("\n".join(lines).encode(), name)


def found(document):
    return [(s.heading, s.summary) for s in document.sections]


@pytest.mark.parametrize(
    ("source", "sections"),
    [
        (
            JAVASCRIPT,
            [
                ("add", "Adds two given numbers."),
                ("subtract", "Subtracts one from another."),
                ("Sum", "Keeps the sum of all."),
                ("Sum.value", "Gives back what was summed."),
                ("Sum.delete", "Sets it to zero again."),
                ("MOST_NUMBERS", "Most numbers that are added."),
            ],
        ),
        (
            C,
            [
                ("POT_SIZE", "Largest size of a pot, counted in cups."),
                ("brew", "Brews some tea here."),
                ("cup", "One single cup of tea."),
                ("pour", "Pours it all out."),
            ],
        ),
        (
            CPP,
            [
                ("Pot", "Keeps the water hot."),
                ("Pot.Pot", "Makes an empty new pot."),
                ("Pot.close", "Closes the lid tightly again."),
                ("Pot::Pot", "Fills the pot to the top."),
            ],
        ),
        (RUST, [("Pot", "A pot that holds tea."), ("Pot.fmt", "Writes out what is inside.")]),
        (
            RUBY,
            [("Tea.Pot", "Brews it for you."), ("Tea.Pot.empty?", "Is there nothing in it?")],
        ),
        (JULIA, [("brew", "Brew tea with hot water."), ("more", "One more cup of it.")]),
        (
            SQL,
            [
                ("tea.cups", "All the cups there are."),
                ("full_cups", "Only the full cups."),
                ("count_full", "Counts all full cups."),
            ],
        ),
        (LUA, [("brew", "Brews tea with water."), ("M.pour", "Pours out all of it.")]),
        (SHELL, [("boil", "Boils all of the water.")]),
        (R, [("brew", "Brew a pot of tea")]),
        (PERL, [("brew", "Brews a pot of tea.")]),
        (PHP, [("Pot", "Keeps hot water inside."), ("Pot.pour", "Pours out some of it.")]),
        (
            KOTLIN,
            [
                ("Cup", "A cup and its size."),
                ("Cup.fill", "Fills the cup with tea."),
                ("Shared", "One that all can share."),
            ],
        ),
        (
            SWIFT,
            [
                ("Pourable", "Something that can be poured."),
                ("Pourable.pour", "Pours it into a cup."),
            ],
        ),
        (SCALA, [("brew", "Brews tea with water.")]),
        (
            CSHARP,
            [
                ("Tea.Pot", "Keeps Water hot."),
                ("Tea.Pot.Level", "How much is in it."),
                ("Tea.Pot.Pour", "Pours out some tea."),
            ],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_definitions_in_each_language(source, sections):
    assert [pair for pair in found(read(*source)) if pair[0]] == sections


@pytest.mark.parametrize(
    ("source", "heading", "code"),
    [
        (
            C,
            "brew",
            "static struct tea *\nbrew (struct pot *p,\n      int cups)\n{\n#ifdef DEBUG\n"
            "  log (p);\n#endif\n  return p->tea;\nfail:\n  return NULL;\n}",
        ),
        (C, "cup", "struct cup {\n  int size;\n};"),
        (C, "pour", "int pour(struct cup *c);"),
        (RUST, "Pot.fmt", "pub(crate) fn fmt(\n    &self,\n) -> fmt::Result {\n    Ok(())\n}"),
        (RUBY, "Tea.Pot.empty?", "def empty?\n  @tea.nil?\nend"),
        (JULIA, "more", "more(cup) = cup + 1"),
        (SQL, "full_cups", "create or replace view full_cups as\nselect * from cups\nwhere full;"),
        (SQL, "count_full", "\n".join(SQL[-3:])),
        (KOTLIN, "Cup", "data class Cup(val size: Int)"),
        (KOTLIN, "Cup.fill", "fun Cup.fill(tea: Tea): Cup =\n    copy(tea)"),
        (PHP, "Pot.pour", "public static function pour($cups)\n{\n}"),
        (CPP, "Pot::Pot", "Pot::Pot(int size) : size_(size) {\n  fill();\n}"),
    ],
)
def test_where_definitions_end(source, heading, code):
    (section,) = [s for s in read(*source).sections if s.heading == heading]
    assert section.code == code


@pytest.mark.parametrize(
    ("source", "title"),
    [
        (RUST, "Everything there is about tea."),
        (PHP, "Tea for the whole world."),
        (SHELL, "Brews tea in the evening."),
    ],
)
def test_titles_in_opening_comments(source, title):
    assert read(*source).title == title
