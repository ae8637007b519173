"""What tests of search share: documents, models that are bags of words, and a live server on 127.0.0.1."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from tests.conftest import WORDS

from polyvec.search.gate import Gate
from polyvec.search.running import DrainingServer, address_of, bind

MODEL_DIMENSIONS = 16

PAGES = {
    "tea.md": "# Tea\n\nBoil water, wait.\n\n## Green\n\nGreen wants cooler water than the storm.\n",
    "tables.md": "# Tables\n\nRead a file with read_csv.\n\n## Joining\n\nMerge two rows on one key.\n",
    "boats.md": "# Boats\n\nA boat on the lake, a ship at sea.\n",
}


def bag_of_words(folder: Path, seed: int = 0) -> Path:
    """Folder of a model that averages a random vector for each of the tests' words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["-", *WORDS.split()]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="-"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(len(vocabulary), MODEL_DIMENSIONS, generator=generator)
    table[0] = 0  # a word that is unknown says nothing
    static = StaticEmbedding(tokenizer, embedding_weights=table.numpy())
    model = SentenceTransformer(modules=[static], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag_of_words(tmp_path_factory.mktemp("models") / "bag")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag_of_words(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, page in PAGES.items():
        (folder / name).write_text(page)
    return folder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Called, it returns the texts that were encoded since it was called last."""
    from polyvec.search import index

    texts: list[str] = []
    encode = index.encode

    def counting(model, given, **options):
        texts.extend(given)
        return encode(model, given, **options)

    def since_last() -> list[str]:
        found = list(texts)
        texts.clear()
        return found

    monkeypatch.setattr(index, "encode", counting)
    return since_last


@dataclass
class Live:
    """A server that runs, and where."""

    address: str
    gate: Gate
    server: DrainingServer


@pytest.fixture
def live() -> Iterator[Callable[[Gate], Live]]:
    """A function that runs an application until the test ends."""
    running: list[tuple[DrainingServer, threading.Thread]] = []

    def run(gate: Gate) -> Live:
        started = threading.Event()
        server = DrainingServer(gate, on_start=started.set, patience=5)
        taken = bind("127.0.0.1", 0)
        address = address_of(taken)
        thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
        thread.start()
        running.append((server, thread))
        assert started.wait(20)
        return Live(address, gate, server)

    yield run
    for server, thread in running:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """A function that waits until something is so, at most ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.01)

    return wait


@dataclass
class Mailbox:
    """A mail server on 127.0.0.1 and what it got.

    ``refuse`` holds answers for the next mails, ``refuse_to`` those for the next times that somebody is named;
    ``on_mail`` is called before a mail is answered.
    """

    envelopes: list[Envelope] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)
    refuse_to: dict[str, list[str]] = field(default_factory=dict)
    on_mail: Callable[[], object] = lambda: None
    port: int = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuse_to.get(address):
            return self.refuse_to[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return self.refuse.pop(0)
        self.envelopes.append(envelope)
        self.on_mail()
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def mails(self) -> list[EmailMessage]:
        read = policy.default
        return [message_from_bytes(each.content, policy=read) for each in self.envelopes]

    @property
    def readers(self) -> list[list[str]]:
        return [each.rcpt_tos for each in self.envelopes]


@pytest.fixture
def serve_mail() -> Iterator[Callable[..., Mailbox]]:
    """A function that runs a mail server until the test ends, with options of aiosmtpd's Controller."""
    running: list[Controller] = []

    def run(**options) -> Mailbox:
        mailbox = Mailbox()
        with bind("127.0.0.1", 0) as free:
            mailbox.port = free.getsockname()[1]
        controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
        controller.start()
        running.append(controller)
        return mailbox

    yield run
    for controller in running:
        controller.stop()


@pytest.fixture
def mailbox(serve_mail) -> Mailbox:
    return serve_mail()


@pytest.fixture
def start(live, tiny_model):
    """A function that starts a server of tiny models with some options, and returns its address and gate."""

    def run(names=("tiny",), index=None, queue=None, **options):
        from polyvec.search.dynamic_batching import DynamicBatching
        from polyvec.search.metrics import Metrics
        from polyvec.search.served import Served
        from polyvec.search.server import create_app

        metrics = Metrics()
        served = []
        for name in names:
            model = index.model if index and not served else tiny_model()
            counted = metrics.batches.labels(name).observe
            batching = DynamicBatching(model, on_batch=counted, **(queue or {}))
            served.append(Served(name, batching, index if not served else None))
        found = live(create_app(served, metrics=metrics, **options))
        found.served = served
        return found

    return run


@pytest.fixture
def cl100k(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[int]]]:
    """A function that gives OpenAI's token ids of a text; LlamaIndex ships the file that tiktoken would download."""
    shipped = pytest.importorskip("llama_index.core").__path__[0]
    from polyvec.search.openai_format import _cl100k

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", f"{shipped}/_static/tiktoken_cache")
    _cl100k.cache_clear()
    encoding = _cl100k()
    assert encoding is not None
    yield encoding.encode_ordinary
    _cl100k.cache_clear()
