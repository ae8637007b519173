import io
import tarfile
import zipfile

import pytest

from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.tag_columns import entities_begun
from polyvec.data.benchmarks.tagging import (
    read_bc2gm,
    read_bc5cdr_disease,
    read_conll2000,
    read_ncbi_disease,
    read_ner_uk,
    read_nerkor,
    read_ud_hungarian,
    read_wnut17,
)
from polyvec.errors import BadInput

DISEASE = "\nThe\tO\nataxia\tB-Disease\n-\tI-Disease\n\n\n#\tO\n"
HEADER = "# global.columns = FORM LEMMA UPOS XPOS FEATS CONLL:NER EMMORPH:LEMMA\n"
UD = """\
# sent_id = 1
# text = Vámbéry a ...\twith a tab
1-2\tVámbéryt\t_\t_\t_\t_\t_\t_\t_\t_
1\tVámbéry\tVámbéry\tPROPN\t_\t_\t0\troot\t_\t_
1.1\t_\t_\tVERB\t_\t_\t_\t_\t_\t_
2\t#\t#\tSYM\t_\t_\t1\tdep\t_\t_

"""


def kor(*rows):
    return HEADER + "".join(f"{word}\tl\tU\tx\tf\t{tag}\tm\n" for word, tag in rows) + "\n"


def pairs(dataset):
    return [list(zip(row["tokens"], row["tags"], strict=True)) for row in dataset]


def put_ncbi(put, devel=DISEASE):
    for split in ("train", "devel", "test"):
        put(f"bio-ner/NCBI-disease/{split}.tsv", devel if split == "devel" else DISEASE)


def put_nerkor(tmp_path, files):
    path = tmp_path / "hungarian" / "nerkor.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


def put_conll2000(tmp_path, **files):
    path = tmp_path / "nltk" / "conll2000.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"README": "Confidence in", **files}.items():
            archive.writestr(f"conll2000/{name}.txt", text)


def test_two_columns_and_blank_lines(put, tmp_path):
    put_ncbi(put)
    found = read_ncbi_disease(tmp_path)
    assert list(found) == ["train", "devel", "test"]
    assert pairs(found["devel"]) == [
        [("The", "O"), ("ataxia", "B-Disease"), ("-", "I-Disease")],
        [("#", "O")],
    ]


def test_a_line_with_only_a_tab_is_blank(put, tmp_path):
    text = "@paul\tO\n#x\tB-person\n\t\nGreen\tO\n"
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        put(f"wnut17/{name}", text)
    found = read_wnut17(tmp_path)
    assert list(found) == ["train", "dev", "test"]
    assert pairs(found["test"]) == [[("@paul", "O"), ("#x", "B-person")], [("Green", "O")]]


def test_blanks_between_columns(put, tmp_path):
    for split in ("train", "test"):
        put(f"ukrainian/ner-uk/{split}.iob.gz", "Устимко B-PERS\n, O\n\n\nЛюдям O\n")
    found = read_ner_uk(tmp_path)
    assert pairs(found["test"]) == [[("Устимко", "B-PERS"), (",", "O")], [("Людям", "O")]]


def test_chunks_from_a_zip(tmp_path):
    put_conll2000(tmp_path, train="The DT B-NP\npound NN I-NP\n\n", test=". . O\n")
    found = read_conll2000(tmp_path)
    assert list(found) == ["train", "test"]
    assert pairs(found["train"]) == [[("The", "B-NP"), ("pound", "I-NP")]]
    assert pairs(found["test"]) == [[(".", "O")]]


def test_nerkor_has_hashes_for_words_and_entities_that_begin_with_i(tmp_path):
    put_nerkor(
        tmp_path,
        {
            "train/web/w2.conllup": kor(("#", "O"), ("#Gadhafi", "B-PER")),
            "train/legal/j1.conllup": kor(("OECD", "B-ORG"), ("7.", "I-MISC"), ("/", "V")),
            "devel/web/w1.conllup": kor(("Anna", "I-PER")),
            "test/web/w3.conllup": kor(("Pest", "B-LOC")),
            "README.md": "no table",
        },
    )
    found = read_nerkor(tmp_path)
    assert pairs(found["train"]) == [
        [("OECD", "B-ORG"), ("7.", "B-MISC"), ("/", "O")],
        [("#", "O"), ("#Gadhafi", "B-PER")],
    ]
    assert pairs(found["devel"]) == [[("Anna", "B-PER")]]


def test_parts_of_speech_without_multiword_tokens_and_empty_nodes(put, tmp_path):
    for split in ("train", "dev", "test"):
        put(f"hungarian/ud-szeged/hu_szeged-ud-{split}.conllu", UD)
    found = read_ud_hungarian(tmp_path)
    assert list(found) == ["train", "dev", "test"]
    assert pairs(found["dev"]) == [[("Vámbéry", "PROPN"), ("#", "SYM")]]


@pytest.mark.parametrize(
    ("tags", "begun"),
    [
        ("O I-A I-A", "O B-A I-A"),
        ("B-A I-B I-B", "B-A B-B I-B"),
        ("I-A O I-A", "B-A O B-A"),
        ("B-A B-A I-A", "B-A B-A I-A"),
        ("B-creative-work I-creative-work", "B-creative-work I-creative-work"),
        ("", ""),
    ],
)
def test_entities_begin_with_b(tags, begun):
    assert entities_begun(tags.split()) == begun.split()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The\tO\nataxia\n", r"devel\.tsv:2: 1 columns; a line has 2"),
        ("The\tDT\tO\n", r"devel\.tsv:1: 3 columns; a line has 2"),
        ("The\tDisease\n", r"devel\.tsv:1: tag 'Disease'; would be O, or B- or I- and a type"),
        ("The\tB-\n", r"devel\.tsv:1: tag 'B-'"),
        ("The\t\n", r"devel\.tsv:1: tag ''"),
        (" \tO\n", r"devel\.tsv:1: no word in column 1"),
        ("\n\n", r"devel\.tsv: no sentence in it"),
        (b"caf\xe9\tO\n", r"devel\.tsv:1: not utf-8 text"),
    ],
)
def test_malformed_lines_are_named(put, tmp_path, text, reason):
    put_ncbi(put, text)
    with pytest.raises(BadInput, match=reason):
        read_ncbi_disease(tmp_path)


def test_malformed_parts_of_speech_are_named(put, tmp_path):
    for split in ("train", "dev", "test"):
        put(f"hungarian/ud-szeged/hu_szeged-ud-{split}.conllu", UD.replace("SYM", ""))
    with pytest.raises(BadInput, match=r"ud-train\.conllu:6: no tag in column 4"):
        read_ud_hungarian(tmp_path)


def test_malformed_members_are_named(tmp_path):
    files = {f"{split}/w.conllup": kor(("a", "O")) for split in ("train", "devel", "test")}
    put_nerkor(tmp_path, files | {"test/w.conllup": kor(("a", "X"))})
    with pytest.raises(BadInput, match=r"nerkor\.tar\.gz/test/w\.conllup:2: tag 'X'"):
        read_nerkor(tmp_path)
    put_conll2000(tmp_path, train="The DT B-NP\n")
    with pytest.raises(BadInput, match=r"conll2000\.zip: no file of the split test in it"):
        read_conll2000(tmp_path)


@pytest.mark.parametrize("read", [read_bc2gm, read_bc5cdr_disease, read_nerkor, read_conll2000])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(MissingData, match="set POLYVEC_DATA"):
        read(tmp_path)


# Sentences and names (or phrases) of each split. The papers count 1,017,340 words in NerKor, whose
# files have 1,017,338, and 21,993 names in NER-UK, whose flat columns keep 21,546.
SIZES = [
    (read_ncbi_disease, [(5424, 5134), (923, 787), (940, 960)]),
    (read_bc5cdr_disease, [(4560, 4182), (4581, 4246), (4797, 4424)]),
    (read_bc2gm, [(12574, 15197), (2519, 3061), (5038, 6325)]),
    (read_wnut17, [(3394, 1975), (1009, 836), (1287, 1079)]),
    (read_conll2000, [(8936, 106978), (2012, 23852)]),
    (read_nerkor, [(52771, 37064), (6996, 4700), (6752, 4419)]),
    (read_ner_uk, [(11161, 14735), (5087, 6811)]),
]


@pytest.mark.parametrize(("read", "sizes"), SIZES)
def test_the_real_names(data, read, sizes):
    found = read(data)
    begun = [
        sum(tag.startswith("B-") for tags in part["tags"] for tag in tags)
        for part in found.values()
    ]
    assert list(zip(map(len, found.values()), begun, strict=True)) == sizes
    words = sum(len(tokens) for part in found.values() for tokens in part["tokens"])
    if read is read_nerkor:
        assert words == 1017338


def test_the_real_parts_of_speech(data):
    found = read_ud_hungarian(data)
    assert [len(part) for part in found.values()] == [910, 441, 449]
    tags = {tag for part in found.values() for tags in part["tags"] for tag in tags}
    assert len(tags) == 16
    assert "NOUN" in tags
