"""Slices of real data for the finance experiment: intents and retrieval, finance beside everything else.

All slices of one kind have the same design and size, so that neither the number of classes nor the size of the
corpus differs between the domains.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.files import fingerprint, stored
from polyvec.data.benchmarks.question_answering import (
    RetrievalSet,
    read_covid_qa,
    read_cranfield_set,
    read_tat_qa,
    read_xquad,
)
from polyvec.data.benchmarks.sentence_classes import read_banking77, read_clinc150
from polyvec.recipes.recipe import Source

FINANCE, GENERAL = "finance", "general"
INTENTS = 15
"""Intents in a slice: what each of CLINC150's domains has."""
CORPUS, QUERIES = 190, 50
"""Passages and queries in a slice before a seed draws from them."""
DRAWN_CORPUS, DRAWN_QUERIES = 150, 40
"""What a seed draws, so that seeds differ in what is asked and searched, and every text is encoded once."""

# Larson et al. 2019, arXiv:1909.02027: the ten domains of CLINC150, of fifteen intents each.
CLINC_DOMAINS: Mapping[str, str] = {
    "banking": "transfer transactions balance freeze_account pay_bill bill_balance bill_due interest_rate routing "
    "min_payment order_checks pin_change report_fraud account_blocked spending_history",
    "credit_cards": "credit_score report_lost_card credit_limit rewards_balance new_card application_status "
    "card_declined international_fees apr redeem_rewards credit_limit_change damaged_card replacement_card_duration "
    "improve_credit_score expiration_date",
    "kitchen_and_dining": "recipe restaurant_reviews calories nutrition_info restaurant_suggestion ingredients_list "
    "ingredient_substitution cook_time food_last meal_suggestion restaurant_reservation confirm_reservation how_busy "
    "cancel_reservation accept_reservations",
    "home": "shopping_list shopping_list_update next_song play_music update_playlist todo_list todo_list_update "
    "calendar calendar_update what_song order order_status reminder reminder_update smart_home",
    "auto_and_commute": "traffic directions gas gas_type distance current_location mpg oil_change_when oil_change_how "
    "jump_start uber schedule_maintenance last_maintenance tire_pressure tire_change",
    "travel": "book_flight book_hotel car_rental travel_suggestion travel_alert travel_notification carry_on timezone "
    "vaccines translate flight_status international_visa lost_luggage plug_type exchange_rate",
    "utility": "time alarm share_location find_phone weather text spelling make_call timer date calculator "
    "measurement_conversion flip_coin roll_dice definition",
    "work": "direct_deposit pto_request taxes payday w2 pto_balance pto_request_status next_holiday insurance "
    "insurance_change schedule_meeting pto_used meeting_schedule rollover_401k income",
    "small_talk": "greeting goodbye tell_joke where_are_you_from how_old_are_you what_is_your_name who_made_you "
    "thank_you what_can_i_ask_you what_are_your_hobbies do_you_have_pets are_you_a_bot meaning_of_life "
    "who_do_you_work_for fun_fact",
    "meta": "change_ai_name change_user_name cancel user_name reset_settings whisper_mode repeat no yes maybe "
    "change_language change_accent change_volume change_speed sync_device",
}
_FINANCE_INTENTS = ("banking", "credit_cards")
_USED: Mapping[str, tuple[Callable[[Path], int], tuple[str, ...]]] = {
    "CLINC150 test": (lambda root: len(read_clinc150(root)["test"]), ("clinc150/data_full.json",)),
    "BANKING77 test": (lambda root: len(read_banking77(root)["test"]), ("banking77/test.csv",)),
    "TAT-QA dev": (lambda root: _queries(read_tat_qa(root, "dev")), ("tat-qa/dev.json",)),
    "TAT-QA test": (lambda root: _queries(read_tat_qa(root, "test")), ("tat-qa/test_gold.json",)),
    "COVID-QA": (lambda root: _queries(read_covid_qa(root)), ("covid-qa/200423_covidQA.json",)),
    "Cranfield": (
        lambda root: _queries(read_cranfield_set(root)),
        ("cranfield/cran.all.1400", "cranfield/cran.qry", "cranfield/cranqrel"),
    ),
    "XQuAD English": (lambda root: _queries(read_xquad(root, "en")), ("xquad/xquad.en.json",)),
}
"""Sets that slices are cut from: how many texts or queries they have, and their files."""


@dataclass(frozen=True, slots=True)
class IntentSlice:
    """Texts of `INTENTS` intents.

    Attributes:
        name: of the slice.
        domain: `FINANCE` or `GENERAL`.
        texts: what people said.
        labels: the intent of each.
    """

    name: str
    domain: str
    texts: list[str]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class RetrievalSlice:
    """`QUERIES` queries to `CORPUS` passages.

    Attributes:
        name: of the slice.
        domain: `FINANCE` or `GENERAL`.
        data: the passages, the queries, and what is relevant.
    """

    name: str
    domain: str
    data: RetrievalSet


def intent_slices(root: Path, seed: int) -> list[IntentSlice]:
    """CLINC150's ten domains and BANKING77 in five parts of fifteen intents, all of their test splits.

    Args:
        root: of the benchmark files.
        seed: of which intents of BANKING77 stand together; two of its 77 are left out.
    """
    test = read_clinc150(root)["test"]
    names = test.features["label"].names
    labels = [names[code] for code in test["label"]]
    slices = [
        _of_intents(
            f"clinc150 {domain}",
            FINANCE if domain in _FINANCE_INTENTS else GENERAL,
            test["text"],
            labels,
            intents.split(),
        )
        for domain, intents in CLINC_DOMAINS.items()
    ]
    banking = read_banking77(root)["test"]
    known = banking.features["label"].names
    order = random.Random(seed).sample(known, len(known))
    groups = [
        order[start : start + INTENTS] for start in range(0, len(order) - INTENTS + 1, INTENTS)
    ]
    asked = [known[code] for code in banking["label"]]
    return slices + [
        _of_intents(f"banking77 part {number}", FINANCE, banking["text"], asked, group)
        for number, group in enumerate(groups, 1)
    ]


def retrieval_slices(root: Path) -> list[RetrievalSlice]:
    """TAT-QA in four slices; COVID-QA in four, Cranfield and XQuAD in two each. Always the same.

    Args:
        root: of the benchmark files.
    """
    sets = [
        ("tat-qa dev", FINANCE, read_tat_qa(root, "dev"), 2),
        ("tat-qa test", FINANCE, read_tat_qa(root, "test"), 2),
        ("covid-qa", GENERAL, read_covid_qa(root), 4),
        ("cranfield", GENERAL, read_cranfield_set(root), 2),
        ("xquad", GENERAL, read_xquad(root, "en"), 2),
    ]
    return [
        RetrievalSlice(f"{name} {number}", domain, part)
        for name, domain, found, count in sets
        for number, part in enumerate(_parts(found, count, random.Random(name)), 1)
    ]


def pool(root: Path) -> list[str]:
    """Every text that any seed's slices can hold."""
    judged = [part.data for part in retrieval_slices(root)]
    texts = {text for data in judged for text in data.documents.values()}
    texts |= {text for data in judged for text in data.judgements.queries.values()}
    return sorted(
        {*texts, *read_clinc150(root)["test"]["text"], *read_banking77(root)["test"]["text"]}
    )


def redrawn(given: RetrievalSlice, seed: int) -> RetrievalSlice:
    """`DRAWN_QUERIES` of a slice's queries, with `DRAWN_CORPUS` of its passages."""
    rng = random.Random(f"{given.name} {seed}")
    asked = sorted(given.data.judgements.qrels)
    rng.shuffle(asked)
    drawn = _sample(given.data, asked, rng, DRAWN_CORPUS, DRAWN_QUERIES)
    return RetrievalSlice(given.name, given.domain, drawn)


def sources(root: Path) -> dict[str, Source]:
    """Fingerprints of the sets that the slices are cut from, and how many texts or queries these have."""
    return {
        name: Source("+".join(fingerprint(stored(root, file)) for file in files), rows(root))
        for name, (rows, files) in _USED.items()
    }


def _queries(found: RetrievalSet) -> int:
    return len(found.judgements.qrels)


def _of_intents(
    name: str, domain: str, texts: Iterable[str], labels: Sequence[str], wanted: Sequence[str]
) -> IntentSlice:
    kept = [
        (text, label) for text, label in zip(texts, labels, strict=True) if label in set(wanted)
    ]
    return IntentSlice(name, domain, [text for text, _ in kept], [label for _, label in kept])


def _parts(found: RetrievalSet, count: int, rng: random.Random) -> Iterator[RetrievalSet]:
    """Cut a set into ``count`` of equal size, no query in two of them."""
    asked = sorted(query for query, grades in found.judgements.qrels.items() if grades)
    rng.shuffle(asked)
    for number in range(count):
        yield _sample(found, asked[number::count], rng, CORPUS, QUERIES)


def _sample(
    found: RetrievalSet, queries: Sequence[str], rng: random.Random, corpus: int, most: int
) -> RetrievalSet:
    """The first queries whose answers fit, and passages drawn from the rest to fill the corpus."""
    judgements = found.judgements
    kept: list[str] = []
    answers: dict[str, None] = {}
    for query in queries:
        relevant = judgements.qrels[query]
        if len(kept) < most and len({*answers, *relevant}) <= corpus:
            kept.append(query)
            answers.update(dict.fromkeys(relevant))
    rest = [id for id in sorted(found.documents) if id not in answers]
    others = rng.sample(rest, min(len(rest), corpus - len(answers)))
    return RetrievalSet(
        {id: found.documents[id] for id in [*answers, *others]},
        Judgements(
            {query: judgements.queries[query] for query in kept},
            {query: judgements.qrels[query] for query in kept},
        ),
    )
