"""The cross-encoder with a tiny random model, against the model called pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from aftertune.errors import InputError
from aftertune.scores import get as get_score
from aftertune.scores import score
from aftertune.scores.similarity import get
from tiny import SEED

pytestmark = pytest.mark.slow
TEXTS = ["red cat", "blue dog ran", "cat", "dog dog dog dog dog dog dog dog", "red cat ran"]


def save(folder, *, num_labels: int = 1, **config):
    """A random BERT of one layer over a few words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "cat", "dog", "ran"])
    }
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        settings = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
            num_labels=num_labels,  # pyright: ignore[reportCallIssue]
            initializer_range=1.0,
            **config,
        )
        model = BertForSequenceClassification(settings).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def test_against_the_model_pair_by_pair(tmp_path):
    import torch

    model, tokenizer = save(tmp_path / "pairs")
    hypotheses, references = TEXTS, TEXTS[::-1]
    values = get(f"cross_encoder:{tmp_path / 'pairs'}").compare(hypotheses, references)
    expected = []
    for hypothesis, reference in zip(hypotheses, references):
        inputs = tokenizer(reference, hypothesis, return_tensors="pt", truncation=True, max_length=15)
        with torch.inference_mode():
            expected.append(model(**inputs).logits.sigmoid().item())
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert len(set(np.round(values, 6))) == 5


def test_as_the_similarity_of_cocoa(tmp_path, make):
    save(tmp_path / "pairs")
    folder = tmp_path / "pairs"
    evidence = make["items"](
        greedy=make["greedy"]([[-0.5]], text=["red cat"]), dropout=make["dropout"]([["cat", "blue dog", ""]])
    )
    name = f"cocoa_msp[similarity=cross_encoder:{folder}]"
    near = get(f"cross_encoder:{folder}").compare(["cat", "blue dog"], ["red cat", "red cat"])
    expected = -0.5 * ((1 - near).sum() + 1) / 3
    np.testing.assert_allclose(score(evidence, [name])[name], [expected], rtol=1e-6)
    before = get_score(name).signature()
    assert "|similarity:cross_encoder:pairs|weights:" in before
    save(tmp_path / "other", hidden_act="relu", num_labels=1, hidden_dropout_prob=0.2)
    assert get_score(name).signature() == before


def test_the_weights_are_part_of_the_signature(tmp_path):
    import torch

    model, _ = save(tmp_path / "pairs")
    before = get(f"cross_encoder:{tmp_path / 'pairs'}").settings()
    with torch.no_grad():
        model.classifier.bias.add_(1)
    model.save_pretrained(tmp_path / "pairs")
    after = get(f"cross_encoder:{tmp_path / 'pairs'}").settings()
    assert before["weights"] != after["weights"]


def test_a_model_that_says_identity_and_leaves_the_range(tmp_path):
    import torch

    settings = {"activation_fn": "torch.nn.modules.linear.Identity"}
    model, _ = save(tmp_path / "raw", sentence_transformers=settings)
    with torch.no_grad():
        model.classifier.bias.fill_(100)
    model.save_pretrained(tmp_path / "raw")
    with pytest.raises(InputError, match=r"gives similarities outside \[0, 1\]"):
        get(f"cross_encoder:{tmp_path / 'raw'}").compare(TEXTS, TEXTS[::-1])


def test_models_that_do_not_fit(tmp_path):
    save(tmp_path / "classes", num_labels=3)
    with pytest.raises(InputError, match="has 3 outputs: choose one with a single output"):
        get(f"cross_encoder:{tmp_path / 'classes'}").compare(["a"], ["b"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty cannot be loaded: "):
        get(f"cross_encoder:{tmp_path / 'empty'}").compare(["a"], ["b"])
