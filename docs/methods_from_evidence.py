"""Write the pages of methods and the README's table from evidence/: part of `make docs`."""

from __future__ import annotations

import shutil
from pathlib import Path

from polyvec.files import write_text
from polyvec.recipes.pages import pages, readme_table, with_table


def main(root: Path) -> None:
    """Rewrite docs/methods and README.md; pictures are copied beside the pages."""
    evidence, folder = root / "evidence", root / "docs" / "methods"
    for name, text in pages(evidence).items():
        write_text(folder / name, text)
    for picture in evidence.glob("*/*.png"):
        shutil.copyfile(picture, folder / f"{picture.parent.name}-{picture.name}")
    readme = root / "README.md"
    write_text(readme, with_table(readme.read_text("utf-8"), readme_table(evidence)))


if __name__ == "__main__":
    main(Path(__file__).parents[1])
