"""Documents that every machine with polyvec has, to find out what a model has forgotten outside its new domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata, resources

from polyvec.data.documents import Document
from polyvec.data.markdown import read_markdown
from polyvec.data.restructuredtext import read_restructuredtext
from polyvec.data.sources import read_documents
from polyvec.errors import BadInput

STANDARD_LIBRARY = (
    "argparse,asyncio,calendar,collections,concurrent,csv,ctypes,datetime,decimal,difflib,email,fractions,gettext,"
    "html,http,imaplib,inspect,ipaddress,json,locale,logging,mailbox,multiprocessing,pathlib,plistlib,random,"
    "shutil,smtplib,sqlite3,statistics,subprocess,tarfile,tempfile,textwrap,threading,tkinter,turtle,unittest,"
    "urllib,uuid,wave,xml,zipfile"
)


def outside_documents(inside: Iterable[Document]) -> list[Document]:
    """Descriptions of installed packages, of scikit-learn's data sets, and the standard library's documented code.

    Args:
        inside: the documents of the domain; where these hold code of the standard library or of installed
            packages, Python code is not outside and is left out.

    Returns:
        Documents with titles, headings and (perhaps) docstrings; a few hundred on a usual machine.
    """
    groups = {document.group for document in inside}
    prose = [*_package_descriptions(), *_data_set_descriptions()]
    if groups & {*STANDARD_LIBRARY.split(","), "numpy", "scipy", "sklearn", "torch"}:
        return prose
    return prose + read_documents(f"python:{STANDARD_LIBRARY}").documents


def _package_descriptions() -> Iterator[Document]:
    seen = set()
    for package in sorted(
        metadata.distributions(), key=lambda package: package.metadata["Name"] or ""
    ):
        name = package.metadata["Name"]
        description = package.metadata.get_payload()  # type: ignore[attr-defined]
        if not name or name in seen or not isinstance(description, str):
            continue
        seen.add(name)
        kind = package.metadata["Description-Content-Type"] or "text/x-rst"
        read = read_markdown if "markdown" in kind else read_restructuredtext
        try:
            yield read(description.encode(), f"description of {name}")
        except BadInput:
            continue


def _data_set_descriptions() -> Iterator[Document]:
    folder = resources.files("sklearn.datasets") / "descr"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".rst"):
            yield read_restructuredtext(file.read_bytes(), f"data set {file.name}")
