"""`import polyvec` and `polyvec --help` are quick because they load nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

import polyvec

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "datasets",
    "sklearn",
    "matplotlib",
    "fastapi",
    "uvicorn",
)


def _run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "doing",
    [
        "import polyvec",
        "import polyvec; dir(polyvec); polyvec.__version__",
        "from polyvec.cli import app; app(['--help'], standalone_mode=False)",
        "from polyvec.cli import app; app(['adapt', '--help'], standalone_mode=False)",
        "from polyvec.cli import app; app(['serve', '--help'], standalone_mode=False)",
        "from polyvec.cli import app; app(['watch', '--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported(doing: str) -> None:
    report = f"import sys; print('loaded:', *({set(HEAVY)!r} & set(sys.modules)))"
    printed = _run(f"{doing}\n{report}")
    assert printed.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("doing", ["import polyvec", "import polyvec.cli"])
def test_import_takes_less_than_half_a_second(doing: str) -> None:
    code = f"import time; start = time.process_time(); {doing}; print(time.process_time() - start)"
    # The best of three, for the sake of machines that do something else as well.
    assert min(float(_run(code)) for _ in range(3)) < 0.5


def test_verbs_are_what_their_rooms_define() -> None:
    from polyvec.adaptation.pipeline import adapt
    from polyvec.encoders.encoding import encode
    from polyvec.encoders.loading import load
    from polyvec.evaluation.comparison import evaluate

    assert (polyvec.adapt, polyvec.encode, polyvec.evaluate, polyvec.load) == (
        adapt,
        encode,
        evaluate,
        load,
    )


def test_all_names_exist_and_are_listed() -> None:
    assert set(polyvec.__all__) <= set(dir(polyvec))
    assert all(getattr(polyvec, name) for name in polyvec.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'adopt'"):
        _ = polyvec.adopt


def test_help_of_the_module_names_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polyvec", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("adapt", "encode", "evaluate"))


def test_package_says_that_it_is_typed() -> None:
    assert (Path(polyvec.__file__).parent / "py.typed").exists()
