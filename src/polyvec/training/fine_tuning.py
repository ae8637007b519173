"""One fine-tuning run in sentence-transformers' own trainer: resumable, with a progress bar and a curve."""

from __future__ import annotations

import json
import math
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from rich.progress import Progress, TaskID
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch import nn
from torch.utils.data import SequentialSampler
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from polyvec.console import progress_bar
from polyvec.encoders.encoding import prompt_for
from polyvec.encoders.loading import without_weight_bars
from polyvec.encoders.precision import has_bfloat16
from polyvec.objectives.own_weights import load_own_weights, save_own_weights
from polyvec.ranks import average_gradients, rank, ranks

SECONDS_BETWEEN_CHECKPOINTS = 45
OVERTIME = 1.2
"""Training stops when it has taken this many times its budget, whatever was planned."""


def fine_tune(
    objective: nn.Module,
    rows: Dataset,
    batch: int,
    folder: Path,
    *,
    learning_rate: float,
    seconds_per_step: float,
    seed: int,
    seconds_allowed: float = float("inf"),
) -> list[dict[str, float]]:
    """Train the objective's model on rows in the order given, continuing from a checkpoint if there is one.

    The learning rate rises over the first tenth of the steps and falls linearly to zero at the last. Dropout is off:
    over a few hundred steps it costs more (attention without it is much faster) than it brings.

    Under ``torchrun`` or ``accelerate launch`` each rank takes every n-th batch, and gradients are averaged.

    Args:
        objective: built with the model, which is changed; so are the objective's own weights.
        rows: a whole number of batches; columns as the objective wants them.
        batch: rows in a step of one rank.
        folder: checkpoints and the curve; a run that was killed continues from what is there.
        learning_rate: the highest.
        seconds_per_step: expected; decides how often a checkpoint is written.
        seed: of everything random.
        seconds_allowed: the budget; the run ends early at `OVERTIME` times as much.

    Returns:
        A point a step: ``step``, ``seconds`` since the start, ``loss`` and ``learning_rate``, and the objective's
        ``trace`` if it has one.
    """
    model: SentenceTransformer = objective.model  # type: ignore[assignment]
    _without_dropout(objective)
    steps = len(rows) // (batch * ranks())
    curve = _Curve(folder / "curve.jsonl", steps, OVERTIME * seconds_allowed, objective)
    checkpoint = _last_whole_checkpoint(folder)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch,
        max_steps=steps,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, steps // 10),
        weight_decay=0.01,
        bf16=has_bfloat16(model.device),
        use_cpu=model.device.type == "cpu",
        prompts=_prompts(model),
        batch_sampler=_in_given_order,
        save_strategy="steps",
        save_steps=max(1, min(steps, round(SECONDS_BETWEEN_CHECKPOINTS / seconds_per_step))),
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        dataloader_pin_memory=model.device.type == "cuda",
    )
    trainer = _Trainer(
        model=model, args=arguments, train_dataset=rows, loss=objective, callbacks=[curve]
    )
    trainer.remove_callback(PrinterCallback)
    try:
        with without_weight_bars():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        curve.close()
    model.eval()
    return curve.points


class _Trainer(SentenceTransformerTrainer):
    """Treats an objective's own weights as the model's: averaged over ranks, kept in checkpoints.

    It collects nothing for a model card, whose examples take longer than a step.
    """

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        return None

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        # As for evaluation means: not wrapped in DistributedDataParallel, whose work `average_gradients` does.
        self.accelerator.prepare_model = partial(
            self.accelerator.prepare_model, evaluation_mode=True
        )

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        average_gradients(self._objective())
        return loss

    def _objective(self) -> nn.Module:
        if not isinstance(self.loss, nn.Module):
            raise TypeError("one objective is trained at a time")
        return self.loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir:
            save_own_weights(self._objective(), Path(output_dir))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint)
        load_own_weights(self._objective(), Path(resume_from_checkpoint))


class _Curve(TrainerCallback):
    """Writes down each step, moves the progress bar, and ends a run that takes far too long."""

    def __init__(
        self, path: Path, steps: int, seconds_allowed: float, objective: nn.Module
    ) -> None:
        self.points: list[dict[str, float]] = []
        self._path = path
        self._steps = steps
        self._allowed = seconds_allowed
        self._objective = objective
        self._bar: Progress = progress_bar()
        self._shown = rank() == 0
        self._line: TaskID | None = None
        self._start = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.points = _points_until(self._path, state.global_step)
        spent = self.points[-1]["seconds"] if self.points else 0.0
        self._start = time.perf_counter() - spent
        if not self._shown:
            return
        _write_points(self._path, self.points)
        self._bar.start()
        self._line = self._bar.add_task("training", total=self._steps, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        point = {
            "step": state.global_step,
            "seconds": round(time.perf_counter() - self._start, 3),
            "loss": float(logs["loss"]),
            "learning_rate": float(logs["learning_rate"]),
            **_finite(getattr(self._objective, "trace", {})),
        }
        self.points.append(point)
        if self._line is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(point) + "\n")
            self._bar.update(self._line, completed=state.global_step)
        if point["seconds"] > self._allowed:
            control.should_training_stop = True

    def close(self) -> None:
        """Take the progress bar down, which also gives the terminal its cursor back."""
        self._bar.stop()


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    """Those that JSON can say."""
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _points_until(path: Path, step: int) -> list[dict[str, float]]:
    """The points of a killed run up to its checkpoint; a line cut short ends them."""
    points: list[dict[str, float]] = []
    if not path.exists():
        return points
    for line in path.read_text("utf-8").splitlines():
        try:
            point = json.loads(line)
        except json.JSONDecodeError:
            break
        if point["step"] <= step:
            points.append(point)
    return points


def _write_points(path: Path, points: list[dict[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(point) + "\n" for point in points), "utf-8")


def _last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; those cut short by a kill are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in reversed(found):
        # The trainer writes its state last, so a state that can be read means a whole checkpoint.
        try:
            json.loads((path / "trainer_state.json").read_text("utf-8"))
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(path)
        else:
            return path
    return None


def _prompts(model: SentenceTransformer) -> dict[str, str]:
    """What the model wants before each column, as it will get it when it is used."""
    wanted = {"anchor": prompt_for(model, "query"), "positive": prompt_for(model, "document")}
    return {column: prompt for column, prompt in wanted.items() if prompt}


def _in_given_order(dataset: Dataset, **kwargs: Any) -> DefaultBatchSampler:
    kwargs.pop("generator")
    return DefaultBatchSampler(SequentialSampler(dataset), **kwargs)


def _without_dropout(objective: nn.Module) -> None:
    for module in objective.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
