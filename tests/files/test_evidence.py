"""Evidence on disk and in memory: nothing lost, nothing half-written."""

from __future__ import annotations

import numpy as np
import pytest

import aftertune
from aftertune.evidence import concatenate, take, with_parts
from aftertune.files import evidence as store
from aftertune.types import Evidence
from tiny import prompts, tiny


@pytest.fixture(scope="module")
def evidence():
    model, tokenizer = tiny("llama")
    return aftertune.collect(model, tokenizer, prompts(9), beams=3, dropout="residual:0.2", max_new_tokens=8)


def same(a: Evidence, b: Evidence) -> None:
    assert list(a.item_ids) == list(b.item_ids)
    np.testing.assert_allclose(a.embedding, b.embedding, rtol=1e-6)
    for part in ("greedy", "beams", "dropout"):
        x, y = getattr(a, part), getattr(b, part)
        assert x.text.tolist() == y.text.tolist()
        for name in x.__dataclass_fields__:
            if name != "text":
                left, right = getattr(x, name), getattr(y, name)
                if name.startswith("token_"):
                    width = min(left.shape[-1], right.shape[-1])
                    assert np.isnan(left[..., width:]).all()
                    assert np.isnan(right[..., width:]).all()
                    left, right = left[..., :width], right[..., :width]
                np.testing.assert_array_equal(left, right)


def test_cut_and_joined_again(evidence):
    ids = list(evidence.item_ids)
    pieces = [take(evidence, ids[:2]), take(evidence, ids[2:3]), take(evidence, ids[3:])]
    same(concatenate(pieces), evidence)
    same(take(concatenate(pieces[::-1]), ids), evidence)
    with pytest.raises(KeyError):
        take(evidence, ["nobody"])


def test_parts_that_differ_do_not_join(evidence):
    bare = Evidence(item_ids=["new"], embedding=np.zeros((1, evidence.embedding.shape[1])))
    with pytest.raises(ValueError, match="some pieces"):
        concatenate([evidence, bare])


def test_with_parts_fills_what_is_missing(evidence):
    first = Evidence(item_ids=evidence.item_ids, greedy=evidence.greedy, embedding=evidence.embedding)
    turned = take(evidence, list(evidence.item_ids)[::-1])
    second = Evidence(item_ids=turned.item_ids, beams=turned.beams, dropout=turned.dropout)
    same(with_parts(first, second), evidence)


def test_written_and_read(evidence, tmp_path):
    ids = list(evidence.item_ids)
    store.write_part(tmp_path, take(evidence, ids[:4]))
    store.write_part(tmp_path, take(evidence, ids[4:]))
    same(store.read_parts(tmp_path), evidence)
    store.merge_parts(tmp_path, evidence)
    assert [path.name for path in tmp_path.iterdir()] == [store.MERGED]
    same(store.read_parts(tmp_path), evidence)


def test_killed_while_merging(evidence, tmp_path):
    """The merged file is there and the parts still are: nothing is counted twice."""
    store.write_part(tmp_path, evidence)
    part = store.part_paths(tmp_path)[0]
    content = part.read_bytes()
    store.merge_parts(tmp_path, evidence)
    part.write_bytes(content)
    same(store.read_parts(tmp_path), evidence)


def test_killed_while_writing(evidence, tmp_path, monkeypatch):
    store.write_part(tmp_path, take(evidence, list(evidence.item_ids)[:4]))

    def broken(table, path, **kwargs):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(store.pq, "write_table", broken)
    with pytest.raises(KeyboardInterrupt):
        store.write_part(tmp_path, take(evidence, list(evidence.item_ids)[4:]))
    assert len(store.read_parts(tmp_path)) == 4


def test_nothing_there(tmp_path):
    assert store.read_parts(tmp_path / "absent") is None
