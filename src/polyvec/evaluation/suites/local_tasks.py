"""mteb's abstract tasks over benchmark files on this machine: mteb's protocol and scores, our loaders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskReranking,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata, TaskType
from sklearn.linear_model import LogisticRegression

from polyvec.data.benchmarks.question_answering import RetrievalSet
from polyvec.evaluation.suites.analogies import AbsTaskAnalogy
from polyvec.evaluation.suites.tagging import AbsTaskTagging

Languages = list[str] | dict[str, list[str]]
"""mteb's codes (``eng-Latn``), or subset → codes where a task has subsets."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One task over local files.

    Attributes:
        name: what a person types.
        suite: what it belongs to, and what it is averaged with.
        protocol: the class below that judges it.
        load: from the data's root to what mteb keeps in a task's ``dataset``.
        description: one sentence.
        languages: mteb's codes.
        split: the split that is judged.
        settings: class attributes of mteb's abstract task that differ for this data.
    """

    name: str
    suite: str
    protocol: type[_Local]
    load: Callable[[Path], Any]
    description: str
    languages: Languages = field(default_factory=lambda: ["eng-Latn"])
    split: str = "test"
    settings: Mapping[str, Any] = field(default_factory=dict)


class _Local(AbsTask):
    """What every task over local files shares: where its data and its description come from."""

    mteb_type: TaskType
    measure: str

    def __init__(self, declared: Declaration, root: Path, **settings: Any) -> None:
        self.metadata = TaskMetadata(
            name=declared.name,
            description=declared.description,
            dataset={"path": f"polyvec/{declared.name}", "revision": "1"},
            type=self.mteb_type,
            category="t2t",
            eval_splits=[declared.split],
            eval_langs=declared.languages,
            main_score=self.measure,
        )
        for name, value in {**declared.settings, **settings}.items():
            setattr(self, name, value)
        super().__init__()
        self._declared, self._root = declared, root

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        """Read the files, once.

        Raises:
            MissingData: when they are not there.
            BadInput: when one is damaged; the sentence says where.
        """
        if not self.data_loaded:
            self.dataset = self._declared.load(self._root)
            self.data_loaded = True


class LocalSTS(_Local, AbsTaskSTS):
    """Similarity of two texts against what people said: Spearman correlation of the cosine."""

    mteb_type, measure = "STS", "cosine_spearman"


class LocalRetrieval(_Local, AbsTaskRetrieval):
    """Queries, documents and judgements: nDCG@10."""

    mteb_type, measure = "Retrieval", "ndcg_at_10"


class LocalReranking(_Local, AbsTaskReranking):
    """Candidates of each query in the best order: mean average precision."""

    mteb_type, measure = "Reranking", "map_at_1000"


class LocalClassification(_Local, AbsTaskClassification):
    """Logistic regression on 8 examples a label, ten times: accuracy."""

    mteb_type, measure = "Classification", "accuracy"

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # mteb's is one object for all tasks, which each of them sets a random state in.
        self.evaluator_model = LogisticRegression(max_iter=100)


class LocalClustering(_Local, AbsTaskClustering):
    """k-means of a sample, ten times: V-measure."""

    mteb_type, measure = "Clustering", "v_measure"
    max_fraction_of_documents_to_embed = None
    max_document_to_embed = 4096
    max_documents_per_cluster = 2048


class LocalPairs(_Local, AbsTaskPairClassification):
    """Is it a pair or not, by cosine: average precision."""

    mteb_type, measure = "PairClassification", "cosine_ap"


class LocalTagging(_Local, AbsTaskTagging):
    """Entities by a small head on frozen token vectors: F1."""

    mteb_type, measure = "Classification", "f1"


class LocalWordTagging(LocalTagging):
    """A tag for every word by a small head on frozen token vectors: share of words right."""

    measure = "accuracy"


class LocalAnalogies(_Local, AbsTaskAnalogy):
    """a is to b as c is to …: accuracy."""

    mteb_type, measure = "Classification", "accuracy"


def one_split(dataset: Dataset, split: str = "test") -> DatasetDict:
    """A task's ``dataset`` of one split and no subsets."""
    return DatasetDict({split: dataset})


def retrieval_data(found: RetrievalSet, split: str = "test") -> dict[str, Any]:
    """A retrieval set as one subset of mteb's."""
    judgements = found.judgements
    asked = [id for id, grades in judgements.qrels.items() if grades]
    return {
        split: {
            "corpus": Dataset.from_dict(
                {
                    "id": list(found.documents),
                    "title": [""] * len(found.documents),
                    "text": list(found.documents.values()),
                }
            ),
            "queries": Dataset.from_dict(
                {"id": asked, "text": [judgements.queries[id] for id in asked]}
            ),
            "relevant_docs": {id: dict(judgements.qrels[id]) for id in asked},
            "top_ranked": None,
        }
    }


def reranking_data(rows: Dataset, split: str = "test") -> dict[str, Any]:
    """Rows of query, positive and negative as one subset of mteb's."""
    ids, texts, relevant, ranked = [], [], {}, {}
    for number, row in enumerate(rows):
        grades = [1] * len(row["positive"]) + [0] * len(row["negative"])
        own = [f"{number}-{place}" for place in range(len(grades))]
        ids += own
        texts += [*row["positive"], *row["negative"]]
        relevant[f"{number}"] = dict(zip(own, grades, strict=True))
        ranked[f"{number}"] = own
    return {
        split: {
            "corpus": Dataset.from_dict({"id": ids, "title": [""] * len(ids), "text": texts}),
            "queries": Dataset.from_dict({"id": list(ranked), "text": list(rows["query"])}),
            "relevant_docs": relevant,
            "top_ranked": ranked,
        }
    }
