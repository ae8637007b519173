"""The main job: documents in, a better embedding model for them out, with proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from polyvec.adaptation.choice import WEIGHTS, choose_weight
from polyvec.adaptation.examination import MEASURE
from polyvec.adaptation.interpolation import interpolate
from polyvec.adaptation.job import FIRST_USE, NO_PRETRAINING, STAGES, Job, refuse_impossible
from polyvec.adaptation.preparation import (
    BATCH,
    facts,
    prepare,
    retention_exams,
    with_judged,
)
from polyvec.adaptation.results import write_results
from polyvec.console import console
from polyvec.data.beir import (
    Judgements,
    folder_judgements,
    is_beir_folder,
    read_judgements,
)
from polyvec.data.documents import load_documents, save_documents
from polyvec.data.sources import read_documents
from polyvec.data.structure_pairs import Pair
from polyvec.encoders.loading import installed_base, load, save
from polyvec.evaluation.exam import Exam
from polyvec.evaluation.frontier import frontier, trained_sizes
from polyvec.files import read_json, saying_when_full, write_json
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.elastic import Elastic, elastic
from polyvec.training.fine_tuning import fine_tune
from polyvec.training.memory import fits_in_memory
from polyvec.training.pair_mixture import by_task, compose, most_steps
from polyvec.training.pretraining import learn, lesson
from polyvec.training.stages import Stages, only_run_in
from polyvec.training.time_budget import Plan, measure_step, plan_steps

LENGTH = 96
"""Word pieces of a text that training reads; the exam and the saved model read as many as the base does."""

TEMPERATURE = 0.02
"""On the dev part of the demo, 40 steps: 55.4 points nDCG@10, and 54.8 with sentence-transformers' 0.05 (base 51.2)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What `adapt` gives back.

    Attributes:
        folder: holds ``model``, ``metrics.json`` and ``report.html``.
        metrics: the content of ``metrics.json``.
    """

    folder: Path
    metrics: dict[str, Any] = field(repr=False)

    @property
    def kept(self) -> str:
        """``adapted``, or ``base`` when adaptation did not help on dev."""
        return str(self.metrics["kept"])

    @property
    def gain(self) -> dict[str, float]:
        """Adapted minus base, mean nDCG@10 on the exam: ``value`` and its 95 % interval ``low``, ``high``."""
        return dict(self.metrics["gain"])

    def model(self, device: str = "auto") -> SentenceTransformer:
        """Open the resulting model."""
        return load(self.folder / "model", device)


def adapt(
    documents: str | Path,
    *,
    base: str | None = None,
    minutes: float = 10.0,
    queries: str | Path | None = None,
    qrels: str | Path | None = None,
    retain: str | Path | None = None,
    text_column: str | None = None,
    learning_rate: float = 1e-4,
    hard_negatives: int = 0,
    elastic: bool = False,
    pretrain: str = NO_PRETRAINING,
    out: str | Path = "adapted",
    device: str = "auto",
    seed: int = 0,
    restart: bool = False,
) -> Result:
    """Adapt an embedding model to documents without labels, and examine whether it got better.

    Documents are split by document (packages: by package); titles, headings, docstrings and links of the training
    part become training pairs, those of the test part the exam. The fine-tuned model is merged with its base at the
    weight that dev prefers among those that forget next to nothing outside the domain.

    Args:
        documents: folder, file, glob, BEIR folder, ``python:numpy,scipy``, ``python:`` or Hugging Face data set.
        base: the model to start from; by default the best one installed offline.
        minutes: wall-clock minutes for training; reading and examining come on top.
        queries: your own queries (``_id`` and ``text`` in .jsonl, or .tsv), examined instead of the documents'
            structure; needs ``qrels``.
        qrels: which documents answer them (BEIR or TREC format).
        retain: a BEIR folder whose queries must not get worse, besides the built-in check.
        text_column: the text's column in .jsonl, .csv, .tsv and .parquet files.
        learning_rate: the highest. On the dev part of the demo, 1e-4 was better than 3e-5 and 2e-4.
        hard_negatives: pairs with the hardest wrong answers, found by BM25, that each pair brings into its batch. On
            the dev part of the demo 1 cost two points against 0: where nobody judged, the hardest are often right.
        elastic: train six sizes of the model at once, from a few layers and 32 dimensions up (Starbucks, Zhuang et al.
            2024, arXiv:2410.13230), so that `polyvec.truncate` makes good smaller models of it; what each size finds,
            takes and weighs then ends the report. A step takes longer, so fewer fit into the minutes.
        pretrain: an objective for the raw documents of the training part, which takes two fifths of the minutes before
            pairs are learned: ``ict,bfs,wlp``, ``retromae``, ``dupmae``, ``smae``, ``prop``, ``mlm`` or ``none``.
        out: the folder for everything that is written; the same call continues what was interrupted there.
        device: ``auto``, ``cpu``, ``cuda``, ``mps`` …
        seed: of everything random.
        restart: forget what an earlier run left in ``out``.

    Returns:
        The folder and the metrics, as in ``metrics.json``.

    Raises:
        BadInput: when something given cannot be used; one sentence.
    """
    job = Job(
        documents=str(documents),
        base=base or installed_base(),
        minutes=minutes,
        queries=str(queries) if queries else None,
        qrels=str(qrels) if qrels else None,
        retain=str(retain) if retain else None,
        text_column=text_column,
        learning_rate=learning_rate,
        hard_negatives=hard_negatives,
        elastic=elastic,
        pretrain=pretrain,
        seed=seed,
    )
    refuse_impossible(job)
    folder = Path(out)
    with only_run_in(folder), saying_when_full(folder):
        stages = Stages(folder / "stages", STAGES, asdict(job), FIRST_USE, restart=restart)
        _Adaptation(job, folder, stages, device).run()
    return Result(folder, read_json(folder / "metrics.json"))


class _Adaptation:
    """One run: a method a stage, each reading what the earlier ones wrote."""

    def __init__(self, job: Job, folder: Path, stages: Stages, device: str) -> None:
        self.job = job
        self.folder = folder
        self.stages = stages
        self.device = device

    def run(self) -> None:
        work: dict[str, tuple[Callable[[Path], None], str]] = {
            "read": (self.read, f"Reading {self.job.documents}"),
            "prepare": (self.prepare, "Splitting, and making exams and training pairs"),
            "baseline": (self.baseline, f"Examining BM25 and {self.job.base}"),
            "pretrain": (self.pretrain, f"Pre-training ({self.job.pretrain})"),
            "plan": (self.plan, "Measuring how many steps fit"),
            "train": (self.train, "Training"),
            "merge": (self.merge, "Choosing how much of it to keep"),
            "examine": (self.examine, "Examining the result"),
            "frontier": (self.frontier, "Measuring smaller sizes of it"),
        }
        self._load(self.job.base)
        for name in self.job.stages:
            self.stages.run(name, *work[name])
        write_results(asdict(self.job), self.stages, self.folder, self._load(self.job.base).device)

    def read(self, place: Path) -> None:
        reading = read_documents(self.job.documents, self.job.text_column)
        save_documents(reading.documents, place / "documents.jsonl")
        write_json(place / "skipped.json", [asdict(skipped) for skipped in reading.skipped])

    def prepare(self, place: Path) -> None:
        documents = load_documents(self.stages.folder / "read" / "documents.jsonl")
        prepared = prepare(documents, self._judgements({d.id for d in documents}), self.job.seed)
        choose, report = retention_exams(documents, self.job.seed)
        if self.job.retain:
            choose, report = with_judged(choose, report, Path(self.job.retain))
        exams = {
            "dev": prepared.dev,
            "test": prepared.test,
            "retention": choose,
            "retention-test": report,
        }
        for name, exam in exams.items():
            exam.save(place / f"{name}.json")
        write_json(place / "pairs.json", [asdict(pair) for pair in prepared.pairs])
        write_json(place / "texts.json", prepared.texts)
        write_json(place / "learned.json", sorted(prepared.split.train))
        write_json(place / "facts.json", facts(documents, prepared))

    def baseline(self, place: Path) -> None:
        base = self._load(self.job.base)
        test = self._exam("test")
        write_json(place / "bm25.json", test.rank_bm25())
        write_json(place / "base.json", test.rank(base, show_progress=True))
        retained = self._exam("retention-test")
        if retained.tasks:
            write_json(place / "retention.json", retained.rank(base))

    def pretrain(self, place: Path) -> None:
        learned = set(read_json(self.stages.folder / "prepare" / "learned.json"))
        documents = load_documents(self.stages.folder / "read" / "documents.jsonl")
        model = self._load(self.job.base)
        reads = model.max_seq_length
        model.max_seq_length = min(LENGTH, reads or LENGTH)
        within = [document for document in documents if document.id in learned]
        curve = learn(
            lesson(self.job.pretrain, model, within, self.job.seed),
            place,
            minutes=self.job.minutes_before,
            steps=None,
            batch=BATCH,
            learning_rate=self.job.learning_rate,
            seed=self.job.seed,
        )
        model.max_seq_length = reads
        save(model, place / "model")
        write_json(place / "curve.json", curve)

    def plan(self, place: Path) -> None:
        tasks, texts = self._pairs()
        objective = self._objective(self._load(self.job.base))
        probe = compose(tasks, texts, BATCH, len(tasks), self.job.seed)
        seconds = measure_step(objective, probe, BATCH)
        minutes = self.job.minutes - self.job.minutes_before
        plan = plan_steps(minutes, seconds, BATCH, most_steps(tasks, BATCH))
        console.print(
            f"  {plan.steps} steps of {BATCH} pairs, {seconds:.2f} s each", highlight=False
        )
        write_json(place / "plan.json", asdict(plan))

    def train(self, place: Path) -> None:
        plan = Plan(**read_json(self.stages.folder / "plan" / "plan.json"))
        tasks, texts = self._pairs()
        together = 1 + self.job.hard_negatives
        rows = compose(tasks, texts, plan.batch, plan.steps, self.job.seed, together)
        model = self._load(self._start())
        reads = model.max_seq_length
        curve = fine_tune(
            self._objective(model),
            rows,
            plan.batch,
            place,
            learning_rate=self.job.learning_rate,
            seconds_per_step=plan.seconds_per_step,
            seed=self.job.seed,
            seconds_allowed=60 * (self.job.minutes - self.job.minutes_before),
        )
        model.max_seq_length = reads
        save(model, place / "model")
        write_json(place / "curve.json", curve)

    def merge(self, place: Path) -> None:
        base, tuned = self._load(self.job.base), self._load(self.stages.folder / "train" / "model")
        dev, retained = self._exam("dev"), self._exam("retention")
        curve = []
        for weight in WEIGHTS:
            path = place / f"weight-{weight:g}.json"
            if not path.exists():
                model = interpolate(base, tuned, weight)
                point = {"weight": weight, "dev": dev(model)[MEASURE]}
                if retained.tasks:
                    point["retention"] = retained(model)[MEASURE]
                write_json(path, point)
            curve.append(read_json(path))
            console.print(f"  {_in_words(curve[-1])}", highlight=False)
        choice = choose_weight(curve)
        model = interpolate(base, tuned, choice.weight)
        save(model, place / "model")
        write_json(
            place / "merge.json", {"curve": curve, "chosen": choice.weight, "why": choice.why}
        )

    def examine(self, place: Path) -> None:
        adapted = self._load(self.stages.folder / "merge" / "model")
        write_json(place / "adapted.json", self._exam("test").rank(adapted, show_progress=True))
        retained = self._exam("retention-test")
        if retained.tasks:
            write_json(place / "retention.json", retained.rank(adapted))

    def frontier(self, place: Path) -> None:
        adapted = self._load(self.stages.folder / "merge" / "model")
        base = self._load(self.job.base)
        sizes = list(trained_sizes(adapted).values())
        found = frontier(
            {"adapted": adapted, "base": base}, sizes, self._exam("test"), seed=self.job.seed
        )
        write_json(place / "frontier.json", found)

    def _start(self) -> str | Path:
        """What learns pairs: the pre-trained model, or the base."""
        if self.job.pretrain == NO_PRETRAINING:
            return self.job.base
        return self.stages.folder / "pretrain" / "model"

    def _load(self, name: str | Path) -> SentenceTransformer:
        return load(name, self.device)

    def _exam(self, name: str) -> Exam:
        return Exam.load(self.stages.folder / "prepare" / f"{name}.json")

    def _pairs(self) -> tuple[dict[str, list[Pair]], dict[str, str]]:
        place = self.stages.folder / "prepare"
        pairs = [Pair(**pair) for pair in read_json(place / "pairs.json")]
        return by_task(pairs, BATCH, self.job.seed), read_json(place / "texts.json")

    def _judgements(self, document_ids: set[str]) -> Judgements | None:
        if self.job.queries and self.job.qrels:
            return read_judgements(Path(self.job.queries), Path(self.job.qrels), document_ids)
        folder = Path(self.job.documents)
        return folder_judgements(folder) if is_beir_folder(folder) else None

    def _objective(self, model: SentenceTransformer) -> Contrastive | Elastic:
        model.max_seq_length = min(LENGTH, model.max_seq_length or LENGTH)
        fits = fits_in_memory(model, 2 * BATCH * LENGTH)
        plain = Contrastive(model, temperature=TEMPERATURE, recompute=not fits)
        return elastic(model, plain, "starbucks", recompute=not fits) if self.job.elastic else plain


def _in_words(point: Mapping[str, float]) -> str:
    words = f"weight {point['weight']:.1f}: dev {100 * point['dev']:.1f}"
    return f"{words}, outside {100 * point['retention']:.1f}" if "retention" in point else words
