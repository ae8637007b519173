"""What an adaptation is asked for: its options, its stages, and which stage an option changes first."""

from __future__ import annotations

from dataclasses import dataclass

from polyvec.errors import BadInput
from polyvec.training.pretraining import refuse_unknown

STAGES = (
    "read",
    "prepare",
    "baseline",
    "pretrain",
    "plan",
    "train",
    "merge",
    "examine",
    "frontier",
)
FIRST_USE = {
    "documents": "read",
    "text_column": "read",
    "queries": "prepare",
    "qrels": "prepare",
    "seed": "prepare",
    "retain": "prepare",
    "base": "baseline",
    "pretrain": "pretrain",
    "minutes": "pretrain",
    "learning_rate": "pretrain",
    "elastic": "plan",
    "hard_negatives": "train",
}

NO_PRETRAINING = "none"
MOST_HARD_NEGATIVES = 15
PRETRAINED = 0.4
"""Share of the minutes that pre-training takes, where it is asked for."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for: the options of `adapt` that change its result."""

    documents: str
    base: str
    minutes: float
    queries: str | None
    qrels: str | None
    retain: str | None
    text_column: str | None
    learning_rate: float
    hard_negatives: int
    elastic: bool
    pretrain: str
    seed: int

    @property
    def stages(self) -> list[str]:
        """Names of the stages that this job has, in order."""
        left_out = {
            "pretrain": self.pretrain == NO_PRETRAINING,
            "frontier": not self.elastic,
        }
        return [name for name in STAGES if not left_out.get(name)]

    @property
    def minutes_before(self) -> float:
        """Of pre-training."""
        return 0.0 if self.pretrain == NO_PRETRAINING else PRETRAINED * self.minutes


def refuse_impossible(job: Job) -> None:
    """Check what needs no reading.

    Raises:
        BadInput: when an option is out of range, or lacks its other half.
    """
    if not 0 < job.minutes < float("inf"):
        raise BadInput(
            f"--minutes {job.minutes:g}: nothing can be trained in that; give more than 0, say 10"
        )
    if not 0 < job.learning_rate < 1:
        raise BadInput(
            f"--learning-rate {job.learning_rate:g}: give a value between 0 and 1, say 1e-4"
        )
    if not 0 <= job.hard_negatives <= MOST_HARD_NEGATIVES:
        raise BadInput(
            f"--hard-negatives {job.hard_negatives}: give 0 to {MOST_HARD_NEGATIVES} a pair"
        )
    if job.pretrain != NO_PRETRAINING:
        refuse_unknown(job.pretrain)
    if (job.queries is None) != (job.qrels is None):
        raise BadInput("--queries and --qrels go together: give both or neither")
