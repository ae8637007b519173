"""Put the table and the picture of `make demo` into README.md, exactly as measured: `make readme`."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from polyvec.adaptation.report import table
from polyvec.adaptation.report_figures import summary_picture
from polyvec.files import read_json, write_text

START, END = "<!-- demo-table -->", "<!-- /demo-table -->"


def main(results: Path) -> None:
    """Rewrite what stands between the two marks."""
    metrics = read_json(results / "metrics.json")
    printed = StringIO()
    Console(file=printed, width=100).print(table(metrics))
    cost = metrics["cost"]
    text = (
        f"```\n{printed.getvalue().rstrip()}\n```\n\n"
        f"Measured on {metrics['created'][:10]} on {cost['machine']}, {cost['precision']}: {cost['steps']} steps of "
        f"{metrics['training']['batch']} pairs in {cost['stages']['train'] / 60:.1f} minutes, "
        f"{cost['seconds'] / 60:.1f} minutes in all, at most {cost['peak_memory_mb'] / 1024:.1f} GiB of memory.\n"
    )
    readme = Path("README.md")
    before, _, rest = readme.read_text("utf-8").partition(START)
    after = rest.partition(END)[2]
    write_text(readme, f"{before}{START}\n{text}{END}{after}")
    Path("docs/images").mkdir(exist_ok=True)
    summary_picture(metrics, Path("docs/images/demo.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
