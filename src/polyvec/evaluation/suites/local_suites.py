"""The tasks over local benchmark files: which file, which protocol, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from polyvec.data.benchmarks.question_answering import (
    read_cisi_set,
    read_cosqa,
    read_covid_faq,
    read_covid_qa,
    read_cranfield_set,
    read_tat_qa,
    read_trec_qa,
    read_xquad,
)
from polyvec.data.benchmarks.sentence_classes import (
    read_ag_news,
    read_banking77,
    read_clinc150,
    read_customer_reviews,
    read_financial_phrasebank,
    read_movie_polarity,
    read_sst2,
    read_trec_questions,
)
from polyvec.data.benchmarks.sentence_pairs import (
    read_cosqa_pairs,
    read_covid_question_pairs,
    read_sick,
    read_stsb,
)
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
from polyvec.data.benchmarks.word_sets import (
    read_analogies,
    read_chinese_word_similarity,
    read_word_similarity,
)
from polyvec.evaluation.suites.local_tasks import (
    Declaration,
    LocalAnalogies,
    LocalClassification,
    LocalClustering,
    LocalPairs,
    LocalReranking,
    LocalRetrieval,
    LocalSTS,
    LocalTagging,
    LocalWordTagging,
    one_split,
    reranking_data,
    retrieval_data,
)


def _train_and_test(found: Mapping[str, Dataset]) -> DatasetDict:
    return DatasetDict({name: found[name] for name in ("train", "test")})


def _both_ways(root: Path) -> dict[str, Any]:
    """XQuAD within each language, and from English into each other and back."""
    return {pair: retrieval_data(read_xquad(root, *_languages_of(pair))) for pair in _XQUAD_PAIRS}


def _languages_of(pair: str) -> tuple[str, str]:
    asked, _, searched = pair.partition("-")
    return asked, searched


def _sick_entailment(root: Path) -> DatasetDict:
    rows = read_sick(root)["test"]
    entails = rows.features["label"].str2int("ENTAILMENT")
    plain = rows.remove_columns(["label", "score"])
    return one_split(plain.add_column("label", [int(code == entails) for code in rows["label"]]))


def _cosqa_pairs(root: Path) -> DatasetDict:
    return one_split(
        read_cosqa_pairs(root).rename_columns({"query": "sentence1", "code": "sentence2"})
    )


def _clusters(rows: Dataset) -> DatasetDict:
    plain = rows.select_columns(["text", "label"])
    return one_split(plain.rename_columns({"text": "sentences", "label": "labels"}))


def _word_similarity(root: Path) -> dict[str, DatasetDict]:
    return {
        name: one_split(_as_sentences(rows)) for name, rows in read_word_similarity(root).items()
    }


def _chinese_words(root: Path) -> dict[str, DatasetDict]:
    found = read_chinese_word_similarity(root)
    return {name: one_split(_as_sentences(rows)) for name, rows in found.items()}


def _as_sentences(rows: Dataset) -> Dataset:
    return rows.rename_columns({"word1": "sentence1", "word2": "sentence2"})


_ENGLISH, _HUNGARIAN, _UKRAINIAN, _CHINESE = ["eng-Latn"], ["hun-Latn"], ["ukr-Cyrl"], ["zho-Hans"]
_XQUAD = {
    "en": "eng-Latn",
    "de": "deu-Latn",
    "es": "spa-Latn",
    "tr": "tur-Latn",
    "vi": "vie-Latn",
    "zh": "zho-Hans",
}
_XQUAD_PAIRS = (
    *(f"{language}-{language}" for language in _XQUAD),
    *(f"en-{language}" for language in _XQUAD if language != "en"),
    *(f"{language}-en" for language in _XQUAD if language != "en"),
)
_WORD_SETS = (
    *("EN-MC-30", "EN-MEN-TR-3k", "EN-MTurk-287", "EN-MTurk-771", "EN-RG-65", "EN-RW-STANFORD"),
    *("EN-SIMLEX-999", "EN-SimVerb-3500", "EN-VERB-143", "EN-WS-353-ALL", "EN-WS-353-REL"),
    *("EN-WS-353-SIM", "EN-YP-130"),
)
_WHOLE = {"is_cross_validation": True}
"""For sets without a test split: mteb's five-fold cross-validation."""

LOCAL: tuple[Declaration, ...] = (
    Declaration(
        "stsb",
        "sts",
        LocalSTS,
        lambda root: one_split(read_stsb(root)["test"]),
        "STS benchmark (Cer et al. 2017): how alike two sentences are, 0 to 5.",
    ),
    Declaration(
        "sick",
        "sts",
        LocalSTS,
        lambda root: one_split(read_sick(root)["test"]),
        "SICK (Marelli et al. 2014): how related two sentences are, 1 to 5.",
        settings={"min_score": 1},
    ),
    Declaration(
        "cranfield",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_cranfield_set(root))},
        "Cranfield (Cleverdon 1967): engineers' questions to abstracts about aerodynamics.",
    ),
    Declaration(
        "cisi",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_cisi_set(root))},
        "CISI (Fox 1983): queries to abstracts about information science.",
    ),
    Declaration(
        "tat-qa",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_tat_qa(root, "test"))},
        "TAT-QA (Zhu et al. 2021): questions to paragraphs of financial reports.",
    ),
    Declaration(
        "covid-qa",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_covid_qa(root))},
        "COVID-QA (Möller et al. 2020): questions to paragraphs of scientific articles.",
    ),
    Declaration(
        "xquad",
        "retrieval",
        LocalRetrieval,
        _both_ways,
        "XQuAD (Artetxe et al. 2020): questions to paragraphs within and across six languages.",
        {pair: [_XQUAD[code] for code in _languages_of(pair)] for pair in _XQUAD_PAIRS},
    ),
    Declaration(
        "covid-faq",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_covid_faq(root))},
        "Questions of the public about COVID-19 to their answers.",
    ),
    Declaration(
        "cosqa",
        "retrieval",
        LocalRetrieval,
        lambda root: {"default": retrieval_data(read_cosqa(root))},
        "CoSQA (Huang et al. 2021): web queries to Python functions.",
    ),
    Declaration(
        "trec-qa",
        "reranking",
        LocalReranking,
        lambda root: {"default": reranking_data(read_trec_qa(root, "test"))},
        "TREC-QA (Wang et al. 2007): sentences that may answer a question.",
    ),
    Declaration(
        "banking77",
        "classification",
        LocalClassification,
        lambda root: DatasetDict(read_banking77(root)),
        "BANKING77 (Casanueva et al. 2020): 77 intents of a bank's customers.",
    ),
    Declaration(
        "clinc150",
        "classification",
        LocalClassification,
        lambda root: _train_and_test(read_clinc150(root)),
        "CLINC150 (Larson et al. 2019): 150 intents in ten domains.",
    ),
    Declaration(
        "mr",
        "classification",
        LocalClassification,
        lambda root: one_split(read_movie_polarity(root)["all"], "train"),
        "Movie reviews (Pang and Lee 2005): positive or negative.",
        split="train",
        settings=_WHOLE,
    ),
    Declaration(
        "cr",
        "classification",
        LocalClassification,
        lambda root: one_split(read_customer_reviews(root)["all"], "train"),
        "Customer reviews (Hu and Liu 2004): positive or negative.",
        split="train",
        settings=_WHOLE,
    ),
    Declaration(
        "sst2",
        "classification",
        LocalClassification,
        lambda root: _train_and_test(read_sst2(root)),
        "Stanford sentiment treebank (Socher et al. 2013): positive or negative.",
    ),
    Declaration(
        "trec",
        "classification",
        LocalClassification,
        lambda root: _train_and_test(read_trec_questions(root)),
        "TREC questions (Li and Roth 2002): six kinds of answer.",
    ),
    Declaration(
        "ag-news",
        "classification",
        LocalClassification,
        lambda root: one_split(read_ag_news(root)["test"], "train"),
        "AG News (Zhang et al. 2015), the test part: four topics.",
        split="train",
        settings=_WHOLE,
    ),
    Declaration(
        "financial-phrasebank",
        "classification",
        LocalClassification,
        lambda root: one_split(read_financial_phrasebank(root)["all"], "train"),
        "Financial PhraseBank (Malo et al. 2014): positive, neutral or negative news.",
        split="train",
        settings=_WHOLE,
    ),
    Declaration(
        "banking77-clusters",
        "clustering",
        LocalClustering,
        lambda root: _clusters(read_banking77(root)["test"]),
        "The test part of BANKING77 by its intents.",
    ),
    Declaration(
        "clinc150-clusters",
        "clustering",
        LocalClustering,
        lambda root: _clusters(read_clinc150(root)["test"]),
        "The test part of CLINC150 by its intents.",
    ),
    Declaration(
        "ag-news-clusters",
        "clustering",
        LocalClustering,
        lambda root: _clusters(read_ag_news(root)["test"]),
        "The test part of AG News by its topics.",
    ),
    Declaration(
        "sick-entailment",
        "pairs",
        LocalPairs,
        _sick_entailment,
        "SICK (Marelli et al. 2014): does the first sentence entail the second?",
        settings={"label_column_name": "label"},
    ),
    Declaration(
        "covid-faq-pairs",
        "pairs",
        LocalPairs,
        lambda root: one_split(read_covid_question_pairs(root)),
        "Pairs of questions about COVID-19: do they ask the same?",
        settings={"label_column_name": "label"},
    ),
    Declaration(
        "cosqa-pairs",
        "pairs",
        LocalPairs,
        _cosqa_pairs,
        "CoSQA (Huang et al. 2021): does the function answer the query?",
        settings={"label_column_name": "label"},
    ),
    Declaration(
        "ncbi-disease",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_ncbi_disease(root)),
        "NCBI disease corpus (Doğan et al. 2014): diseases in abstracts.",
    ),
    Declaration(
        "bc5cdr-disease",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_bc5cdr_disease(root)),
        "BC5CDR (Li et al. 2016): diseases in abstracts.",
    ),
    Declaration(
        "bc2gm",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_bc2gm(root)),
        "BC2GM (Smith et al. 2008): genes in sentences of abstracts.",
    ),
    Declaration(
        "wnut17",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_wnut17(root)),
        "WNUT 2017 (Derczynski et al. 2017): new and rare names in social media.",
    ),
    Declaration(
        "conll2000",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_conll2000(root)),
        "CoNLL-2000 (Tjong Kim Sang and Buchholz 2000): phrases in news.",
    ),
    Declaration(
        "nerkor",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_nerkor(root)),
        "NYTK-NerKor (Simon and Vadász 2021): names in Hungarian text.",
        _HUNGARIAN,
    ),
    Declaration(
        "ner-uk",
        "ner",
        LocalTagging,
        lambda root: _train_and_test(read_ner_uk(root)),
        "NER-UK 2.0 (Chaplynskyi and Romanyshyn 2024): names in Ukrainian text.",
        _UKRAINIAN,
    ),
    Declaration(
        "ud-hungarian",
        "ner",
        LocalWordTagging,
        lambda root: _train_and_test(read_ud_hungarian(root)),
        "UD Hungarian-Szeged (Vincze et al. 2010): parts of speech, share of words right.",
        _HUNGARIAN,
    ),
    Declaration(
        "word-similarity",
        "words",
        LocalSTS,
        _word_similarity,
        "Thirteen English sets (Faruqui and Dyer 2014): how alike two words are.",
        dict.fromkeys(_WORD_SETS, _ENGLISH),
    ),
    Declaration(
        "word-similarity-zh",
        "words",
        LocalSTS,
        _chinese_words,
        "Two Chinese sets (Chen et al. 2015): how alike two words are.",
        dict.fromkeys(("240", "297"), _CHINESE),
    ),
    Declaration(
        "analogies-en",
        "words",
        LocalAnalogies,
        lambda root: one_split(read_analogies(root, "en")),
        "English analogies (Mikolov et al. 2013).",
    ),
    Declaration(
        "analogies-hu",
        "words",
        LocalAnalogies,
        lambda root: one_split(read_analogies(root, "hu")),
        "Hungarian analogies (Makrai 2015).",
        _HUNGARIAN,
    ),
    Declaration(
        "analogies-zh",
        "words",
        LocalAnalogies,
        lambda root: one_split(read_analogies(root, "zh")),
        "Chinese analogies (Chen et al. 2015).",
        _CHINESE,
    ),
)
"""Every task over local files."""
