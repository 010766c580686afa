"""A real llm, with a small embedding model of our own: real ones are downloads or services."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import llm
import pytest
import sqlite_utils
from llm.plugins import pm

DIMENSIONS = 16


class HashModel(llm.EmbeddingModel):
    """Embeds each word as a vector drawn from a generator that the word seeds; text is their sum."""

    model_id = "test-hash"
    supports_text = True
    supports_binary = True
    batch_size = 10

    def embed_batch(self, items):  # type: ignore[no-untyped-def]
        for item in items:
            text = item.decode("latin-1") if isinstance(item, bytes) else item
            total = [0.0] * DIMENSIONS
            for word in text.split():
                draws = random.Random(word)
                total = [value + draws.gauss(0, 1) for value in total]
            yield total


class Models:
    @llm.hookimpl
    def register_embedding_models(self, register):  # type: ignore[no-untyped-def]
        register(HashModel())


@pytest.fixture(autouse=True)
def model() -> Iterator[None]:
    pm.register(Models(), name="test-models")
    yield
    pm.unregister(name="test-models")


@pytest.fixture(autouse=True)
def user_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "llm"
    folder.mkdir()
    monkeypatch.setenv("LLM_USER_PATH", str(folder))
    monkeypatch.delenv("LLM_EMBEDDINGS_DB", raising=False)
    monkeypatch.delenv("SIMDEX_INDEX_DIR", raising=False)
    return folder


WORDS = "cat dog bird fish tree river stone cloud rain snow wind fire".split()


def sentences(number: int) -> list[tuple[str, str]]:
    """(id, text): three words each."""
    draws = random.Random(7)
    return [(f"id-{place}", " ".join(draws.sample(WORDS, 3))) for place in range(number)]


@pytest.fixture
def path(user_path: Path) -> Path:
    return user_path / "embeddings.db"


@pytest.fixture
def collection(path: Path) -> llm.Collection:
    """60 sentences with content and metadata."""
    collection = llm.Collection("notes", sqlite_utils.Database(path), model_id="test-hash")
    entries = ((id, text, {"place": id}) for id, text in sentences(60))
    collection.embed_multi_with_metadata(entries, store=True)
    return collection
