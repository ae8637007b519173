import json
import os
import signal
import subprocess
import sys
import time

import pytest

from polyvec.errors import BadInput
from polyvec.training.stages import Stages, only_run_in, peak_memory_mb

NAMES = ("read", "train", "examine")
FIRST_USE = {"docs": "read", "minutes": "train", "seed": "read", "examples": "examine"}
OPTIONS = {"docs": "here", "minutes": 10, "seed": 0, "examples": None}


def stages_in(folder, restart=False, **changed):
    return Stages(folder, NAMES, OPTIONS | changed, FIRST_USE, restart=restart)


def writes(text):
    def work(folder):
        with open(folder / "result.txt", "a") as file:
            file.write(text)

    return work


def test_a_stage_works_in_its_own_folder_and_returns_it(tmp_path):
    stages = stages_in(tmp_path / "work")
    place = stages.run("read", writes("done"))
    assert place == tmp_path / "work" / "read"
    assert (place / "result.txt").read_text() == "done"
    assert stages.is_done("read")
    assert not stages.is_done("train")


def test_a_finished_stage_is_not_repeated_by_the_next_run(tmp_path):
    stages_in(tmp_path).run("read", writes("once"))
    place = stages_in(tmp_path).run("read", writes("twice"))
    assert (place / "result.txt").read_text() == "once"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_stage_is_repeated_in_the_folder_it_left(tmp_path, stop):
    def stopped(folder):
        writes("half,")(folder)
        time.sleep(0.02)
        raise stop

    stages = stages_in(tmp_path)
    with pytest.raises(stop):
        stages.run("read", stopped)
    assert not stages.is_done("read")
    assert stages.seconds_so_far("read") >= 0.02

    again = stages_in(tmp_path)
    assert (again.run("read", writes("whole")) / "result.txt").read_text() == "half,whole"
    assert again.costs()["read"]["seconds"] >= 0.02


def test_seconds_add_up_over_interruptions(tmp_path):
    def stopped(folder):
        time.sleep(0.03)
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            stages_in(tmp_path).run("read", stopped)
    assert 0.09 <= stages_in(tmp_path).seconds_so_far("read") < 1


def test_a_stage_never_begun_has_taken_no_time(tmp_path):
    assert stages_in(tmp_path).seconds_so_far("train") == 0


def test_costs_are_told_in_the_order_of_the_stages(tmp_path):
    stages = stages_in(tmp_path)
    for name in ("train", "read"):
        stages.run(name, lambda folder: None)
    costs = stages.costs()
    assert list(costs) == ["read", "train"]
    assert all(set(cost) == {"seconds", "peak_memory_mb"} for cost in costs.values())
    assert 0 < costs["read"]["peak_memory_mb"] <= peak_memory_mb()


def test_what_a_stage_shows_is_told_only_when_it_works(tmp_path, capsys):
    stages = stages_in(tmp_path)
    stages.run("read", lambda folder: None, "reading documents")
    stages.run("read", lambda folder: None, "reading documents")
    captured = capsys.readouterr()
    assert captured.err.count("reading documents") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("option", "value", "stage"),
    [("docs", "there", "read"), ("seed", 1, "read"), ("minutes", 20, "train")],
)
def test_a_changed_option_names_the_stage_and_asks_for_restart(tmp_path, option, value, stage):
    before = stages_in(tmp_path)
    before.run("read", lambda folder: None)
    before.run("train", lambda folder: None)
    with pytest.raises(BadInput) as error:
        stages_in(tmp_path, **{option: value})
    said = str(error.value)
    assert f"--{option} was {OPTIONS[option]!r} and is now {value!r}" in said
    assert f"the stage '{stage}' already in {tmp_path}" in said
    assert "--restart" in said


def test_a_refused_change_leaves_the_options_of_the_run(tmp_path):
    stages_in(tmp_path).run("read", lambda folder: None)
    with pytest.raises(BadInput):
        stages_in(tmp_path, docs="there")
    assert json.loads((tmp_path / "options.json").read_text()) == OPTIONS
    assert stages_in(tmp_path).is_done("read")


def test_an_option_of_a_later_stage_may_change(tmp_path):
    stages_in(tmp_path).run("read", lambda folder: None)
    again = stages_in(tmp_path, minutes=20, examples=5)
    assert again.is_done("read")
    assert json.loads((tmp_path / "options.json").read_text()) == OPTIONS | {
        "minutes": 20,
        "examples": 5,
    }


def test_an_option_of_a_stage_that_was_begun_may_not_change(tmp_path):
    def stopped(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    stages = stages_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stages.run("train", stopped)
    with pytest.raises(BadInput, match="'train'"):
        stages_in(tmp_path, minutes=20)


def test_an_option_of_a_stage_that_failed_with_nothing_done_may_be_corrected(tmp_path):
    def refused(folder):
        raise BadInput("no such folder")

    with pytest.raises(BadInput, match="no such folder"):
        stages_in(tmp_path).run("read", refused)
    corrected = stages_in(tmp_path, docs="there")
    assert corrected.seconds_so_far("read") == 0
    assert (corrected.run("read", writes("new")) / "result.txt").read_text() == "new"


def test_restart_forgets_everything(tmp_path):
    folder = tmp_path / "work"
    stages_in(folder).run("read", writes("old"))
    again = stages_in(folder, restart=True, docs="there")
    assert not again.is_done("read")
    assert again.costs() == {}
    assert (again.run("read", writes("new")) / "result.txt").read_text() == "new"


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(tmp_path, restart):
    file = tmp_path / "work"
    file.write_text("mine")
    with pytest.raises(BadInput, match="work: is a file; give a folder"):
        stages_in(file, restart=restart)
    with pytest.raises(BadInput, match="cannot be made"):
        stages_in(file / "below", restart=restart)
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir(mode=0o500)
    with pytest.raises(BadInput, match="cannot be written"):
        stages_in(folder)


HOLD = """
import sys, time
from pathlib import Path
from polyvec.training.stages import only_run_in
with only_run_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_run(tmp_path):
    """A process that holds the folder until it is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout.readline() == "held\n"
    yield holder
    holder.kill()
    holder.wait()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path, other_run):
    with pytest.raises(BadInput, match="another run is working there"), only_run_in(tmp_path):
        pass
    other_run.send_signal(signal.SIGKILL)
    other_run.wait()
    with only_run_in(tmp_path):
        pass


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), only_run_in(tmp_path / "new"):
        raise KeyboardInterrupt
    with only_run_in(tmp_path / "new"):
        pass


def test_a_file_cannot_be_locked_as_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="is a file"), only_run_in(tmp_path / "file"):
        pass
