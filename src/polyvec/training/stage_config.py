"""A training plan as somebody writes it: stages in one TOML or YAML file, every mistake named before work begins."""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from polyvec.errors import BadInput
from polyvec.objectives.elastic import PRESETS
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import Curricular, Scheduled
from polyvec.objectives.soft_labels import SoftLabels
from polyvec.training.batch_order import ORDERS

Table = dict[str, Any]
KINDS = ("pretrain", "contrastive", "distil", "soup")
PROGRESSIVE: dict[str, Callable[..., Any]] = {"curricular": Curricular, "scheduled": Scheduled}
TERMS: dict[str, Callable[..., Any]] = {
    "focal": FocalWeight,
    "mixing": NegativeMixing,
    "soft_labels": SoftLabels,
    "matryoshka": Matryoshka,
}
EXAMPLE = """\
# polyvec train plan.toml --out trained
model = "minilm"              # a short name, a folder, or a name on the hub
length = 128                  # tokens of a text that are read
seed = 0

[[stages]]                    # weak pairs: many, in large batches of one task each
name = "weak"
kind = "contrastive"          # or pretrain, distil, soup
data = ["weak/*.jsonl"]       # {"query", "pos": [], "neg": [], "task"}, or {"text", "label"}
order = "homogeneous"         # random, homogeneous, semi-homogeneous (ratio), size-scaled (power)
batch = 256
tuned_batch = 64              # the learning rate was found at this batch; it grows with the root
learning_rate = 5e-5
epochs = 1                    # or steps, or minutes

[[stages]]                    # good pairs, with mined negatives
name = "supervised"
kind = "contrastive"
data = ["good.jsonl"]
negatives = 7
batch = 32
temperature = 0.02
learning_rate = 2e-5
epochs = 2
focal = {gamma = 0.5}
mixing = {pairwise = 2, listwise = 1}
matryoshka = {}

[[stages]]                    # what a stronger model thinks of the same texts
name = "distilled"
kind = "distil"
data = ["good.jsonl"]
teacher = "mpnet"             # or teacher_scores in the lines
negatives = 7
batch = 32
learning_rate = 1e-5
epochs = 1

[[stages]]                    # the average of two models
name = "soup"
kind = "soup"
members = ["supervised", "distilled"]
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a plan.

    Attributes:
        name: of its folder.
        kind: ``pretrain`` (an objective on raw documents), ``contrastive``, ``distil`` (contrastive, with a teacher's
            soft labels) or ``soup`` (the average of stages).
        data: files or globs of examples; of ``pretrain``, sources of documents.
        start: the stage whose model is trained; the one before by default, and the plan's model for the first.
        order: see `polyvec.training.batch_order.ORDERS`; with ``ratio`` or ``power``.
        batch: rows of a step, of each process.
        epochs: how often each example is seen; this, ``steps`` or ``minutes``, and one epoch where none is given.
        learning_rate: the highest, at ``tuned_batch`` rows; it grows with the root of the batch. Without
            ``tuned_batch`` it is that of ``batch``.
        negatives: of a row.
        temperature: and ``margin``, ``symmetric``, ``expanded``: see `polyvec.objectives.contrastive.Contrastive`.
        focal: and ``mixing``, ``soft_labels``, ``matryoshka``, ``progressive``: arguments of these terms; of the last
            with a ``kind``, ``curricular`` or ``scheduled``.
        elastic: one of `polyvec.objectives.elastic.PRESETS`: several sizes of the model learn at once.
        teacher: of ``distil``; without it, the examples have scores.
        objective: of ``pretrain``.
        members: of ``soup``, with ``weights`` that are equal by default.
    """

    name: str
    kind: str
    data: list[str] = field(default_factory=list)
    start: str | None = None
    order: str = "random"
    ratio: float | None = None
    power: float | None = None
    batch: int = 64
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 5e-5
    tuned_batch: int | None = None
    negatives: int = 0
    temperature: float = 0.05
    margin: float = 0.1
    symmetric: bool = False
    expanded: bool = False
    focal: Table | None = None
    mixing: Table | None = None
    progressive: Table | None = None
    soft_labels: Table | None = None
    matryoshka: Table | None = None
    elastic: str | None = None
    teacher: str | None = None
    objective: str | None = None
    members: list[str] = field(default_factory=list)
    weights: list[float] | None = None

    @property
    def highest_rate(self) -> float:
        """The learning rate at this stage's batch."""
        grown: float = (self.batch / (self.tuned_batch or self.batch)) ** 0.5
        return self.learning_rate * grown

    def terms(self, steps: int) -> dict[str, Any]:
        """The terms of the contrastive objective, built anew for a run of so many steps."""
        built = {name: _term(name, make, getattr(self, name)) for name, make in TERMS.items()}
        if self.kind == "distil" and built["soft_labels"] is None:
            built["soft_labels"] = SoftLabels()
        built["progressive"] = _progressive(self.progressive, steps)
        return built


@dataclass(frozen=True, slots=True)
class Plan:
    """A model, and the stages that it goes through."""

    model: str
    stages: list[Stage]
    length: int = 128
    seed: int = 0


def read_plan(given: str | Path | Mapping[str, Any]) -> Plan:
    """Read a plan and check all of it.

    Args:
        given: a ``.toml``, ``.yaml`` or ``.yml`` file, or the same as a dictionary; `EXAMPLE` is one.

    Raises:
        BadInput: names what is wrong, where, and what would be right.

    Example:
        >>> stage = {"name": "one", "kind": "contrastive", "data": ["pairs.jsonl"], "batchsize": 3}
        >>> read_plan({"model": "minilm", "stages": [stage]})
        Traceback (most recent call last):
        polyvec.errors.BadInput: stage 'one': nothing is called 'batchsize'; did you mean 'batch'?
    """
    table = dict(given) if isinstance(given, Mapping) else _table(Path(given))
    stages = table.pop("stages", None)
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise BadInput("a plan without stages: give one [[stages]] or more")
    made = []
    for number, stage in enumerate(stages, 1):
        if not isinstance(stage, Mapping):
            raise BadInput(f"stage {number} is no table; give name, kind and what the kind wants")
        where = f"stage {stage.get('name', number)!r}"
        made.append(_checked(Stage, {"start": None, **stage}, where))
    plan: Plan = _checked(Plan, {**table, "stages": made}, "the plan")
    for number, stage in enumerate(plan.stages):
        _refuse_wrong(stage, [earlier.name for earlier in plan.stages[:number]])
    if plan.length < 8:
        raise BadInput(f"the plan: length = {plan.length}; give 8 tokens or more")
    return plan


def _table(path: Path) -> Table:
    read = _yaml if path.suffix in (".yaml", ".yml") else tomllib.loads
    try:
        found = read(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give a plan in TOML or YAML") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path}: no plan; polyvec train --example prints one")
    return found


def _yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise tomllib.TOMLDecodeError(" ".join(str(error).split())) from None


def _checked(make: Callable[..., Any], table: Mapping[str, Any], where: str) -> Any:
    """A dataclass out of a table whose names and types fit."""
    hints = get_type_hints(make)
    known = {found.name: found for found in fields(make)}  # type: ignore[arg-type]
    for name, value in table.items():
        if name not in known:
            raise BadInput(f"{where}: nothing is called {name!r}{_nearest(name, known)}")
        if not _fits(value, hints[name]):
            raise BadInput(f"{where}: {name} = {value!r} is not {_in_words(hints[name])}")
    missing = [name for name in ("model", "name", "kind") if name in known and name not in table]
    if missing:
        raise BadInput(f"{where}: no {missing[0]}; polyvec train --example prints a plan")
    return make(**table)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value that was read is of a type as the dataclasses here have them."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return any(_is_a(value, option) for option in options)


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is_a(item, get_args(kind)[0]) for item in value)
    if isinstance(value, bool) and kind is not bool:
        return False
    wanted = (int, float) if kind is float else get_origin(kind) or kind
    return isinstance(value, wanted)


def _in_words(hint: Any) -> str:
    names = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
    written = str(getattr(hint, "__name__", hint)).replace(" | None", "")
    if written.startswith("list"):
        return "a list"
    return names.get(written, "a table")


def _nearest(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _term(name: str, make: Callable[..., Any], table: Table | None) -> Any:
    if table is None:
        return None
    known = list(inspect.signature(make).parameters)
    for key in table:
        if key not in known:
            raise BadInput(f"{name}: nothing is called {key!r}{_nearest(key, known)}")
    try:
        return make(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except TypeError as error:
        raise BadInput(f"{name} = {table}: {error}") from None


def _progressive(table: Table | None, steps: int) -> Any:
    if table is None:
        return None
    kind = table.get("kind")
    if kind not in PROGRESSIVE:
        raise BadInput(f"progressive.kind = {kind!r}; give {' or '.join(PROGRESSIVE)}")
    more = {"steps": steps} if kind == "scheduled" else {}
    options = {name: value for name, value in table.items() if name != "kind"}
    return _term("progressive", PROGRESSIVE[kind], {**more, **options})


def _refuse_wrong(stage: Stage, earlier: Sequence[str]) -> None:
    where = f"stage {stage.name!r}"
    if not stage.name or stage.name in earlier or not stage.name.replace("-", "_").isidentifier():
        raise BadInput(
            f"{where}: give each stage a name of its own, of letters, digits and hyphens"
        )
    if stage.kind not in KINDS:
        raise BadInput(f"{where}: kind = {stage.kind!r}; give one of {', '.join(KINDS)}")
    unknown = [
        name for name in [*stage.members, *filter(None, [stage.start])] if name not in earlier
    ]
    if unknown:
        raise BadInput(f"{where}: no stage before it is called {unknown[0]!r}")
    if stage.kind == "soup":
        if len(stage.members) < 2:
            raise BadInput(f"{where}: a soup needs members, two stages or more")
        return
    if not stage.data:
        raise BadInput(f"{where}: no data; give files of examples, or documents to pretrain on")
    if (stage.kind == "pretrain") != (stage.objective is not None):
        raise BadInput(f"{where}: an objective is what a stage of the kind pretrain has; say which")
    if stage.elastic is not None:
        if stage.elastic not in PRESETS:
            raise BadInput(
                f"{where}: elastic = {stage.elastic!r}; give one of {', '.join(PRESETS)}"
            )
        if stage.matryoshka is not None or stage.kind == "pretrain":
            raise BadInput(
                f"{where}: elastic is for pairs, and cuts widths itself, without matryoshka"
            )
    if stage.teacher is not None and stage.kind != "distil":
        raise BadInput(f"{where}: a teacher is for the kind distil")
    lasts = [n for n in ("epochs", "steps", "minutes") if getattr(stage, n) is not None]
    if len(lasts) > 1 or any(getattr(stage, name) <= 0 for name in lasts):
        raise BadInput(f"{where}: give one of epochs, steps and minutes, above 0")
    if stage.batch < 2 or stage.negatives < 0 or not stage.learning_rate > 0:
        raise BadInput(
            f"{where}: give a batch of 2 or more, negatives of 0 or more and a rate above 0"
        )
    if stage.order not in ORDERS:
        raise BadInput(f"{where}: order = {stage.order!r}; give one of {', '.join(ORDERS)}")
    for name, order in (("ratio", "semi-homogeneous"), ("power", "size-scaled")):
        if getattr(stage, name) is not None and stage.order != order:
            raise BadInput(f"{where}: {name} belongs to order = {order!r}")
    if stage.kind == "distil" and stage.negatives < 1:
        raise BadInput(f"{where}: soft labels compare a positive with negatives; give negatives")
    try:
        stage.terms(steps=1)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
