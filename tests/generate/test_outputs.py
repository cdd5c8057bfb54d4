"""Prompts as chat models and their tokenizers have them: one BOS, no end, answers closed as in the template.

Tokenizers are small: one token a byte (no merges), with special tokens and templates shaped like those of Gemma,
Llama 3 and Llama 2.
"""

from __future__ import annotations

import copy
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    PreTrainedTokenizer,
    PreTrainedTokenizerFast,
)

import aftertune
from aftertune.errors import InputError
from aftertune.finetune.examples import MASKED, tokenise
from aftertune.generate.outputs import output_ids, output_texts, turn_notes, turn_of
from aftertune.generate.prompts import (
    PromptOptions,
    describe_prompt,
    encode,
    prompt_identity,
    prompt_ids,
    render,
    text_ids,
)
from aftertune.models.loaded import without_weights, wrap
from aftertune.types import Chat, Example
from tiny import BOS, EOS, PAD, VOCABULARY, _build
from tiny import tokenizer as words

GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MARKS = {
    "gemma": (GEMMA, "<bos>", "<eos>", ["<start_of_turn>", "<end_of_turn>"], "<end_of_turn>"),
    "llama3": (
        LLAMA3,
        "<|begin_of_text|>",
        "<|end_of_text|>",
        ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|eot_id|>",
    ),
    "llama2": (LLAMA2, "<s>", "</s>", [], "</s>"),
}
TWO_TURNS = Chat(
    text="plain", messages=(("user", "Say A."), ("assistant", "A"), ("user", " And B? "))
)  # fmt: skip
every_kind = pytest.mark.parametrize("kind", MARKS)


def bytes_tokenizer(bos="<bos>", eos="<eos>", others=(), template=None, single="<bos> $A", **more):
    """One token a byte, special tokens last."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=bos, eos_token=eos, pad_token="<pad>",
        extra_special_tokens=list(others), clean_up_tokenization_spaces=False, **more,
    )  # fmt: skip
    ids = [(token, made.convert_tokens_to_ids(token)) for token in (bos, eos)]
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single.replace("<bos>", bos).replace("<eos>", eos), special_tokens=ids
    )
    made.chat_template = template
    return made


@cache
def model_for(vocabulary: int):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=256, pad_token_id=None, bos_token_id=None,
            eos_token_id=None,
        )  # fmt: skip
        model = LlamaForCausalLM(config).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(8 if weight.ndim > 1 else 1)
    return model


def loaded_with(tokenizer, *ends: str, name="mine"):
    """An untrained model whose outputs end at these tokens by its generation config."""
    model = copy.deepcopy(model_for(len(tokenizer)))
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(ends)) or None
    return wrap(model, tokenizer, name)


def chat_model(kind: str):
    template, bos, eos, others, end = MARKS[kind]
    return loaded_with(bytes_tokenizer(bos, eos, others, template), eos, end)


class TestOneBeginning:
    @every_kind
    def test_a_chat_rendered_by_hand_is_the_chat(self, kind):
        loaded = chat_model(kind)
        tokenizer = loaded.tokenizer
        by_library = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_dict=False
        )
        rendered, _ = render(loaded, "Hi", "auto")
        assert by_library.count(tokenizer.bos_token_id) == 1
        assert tokenizer(rendered)["input_ids"].count(tokenizer.bos_token_id) == 2, "what is mended"
        assert prompt_ids(loaded, rendered, "off") == by_library == prompt_ids(loaded, "Hi", "auto")
        found = aftertune.collect(
            loaded.model, tokenizer, [rendered], beams=0, dropout_samples=0, max_new_tokens=6, embedding=False
        )
        expected = loaded.model.generate(
            torch.tensor([by_library]), attention_mask=torch.ones(1, len(by_library)), max_new_tokens=6,
            do_sample=False, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        assert found.greedy.token_ids[0].tolist() == expected[0, len(by_library) :].tolist()
        scored = aftertune.score_texts(loaded.model, tokenizer, [rendered], found.greedy.token_ids)
        np.testing.assert_allclose(scored.greedy.token_logprob, found.greedy.token_logprob, atol=1e-5)

    def test_a_plain_prompt_has_its_beginning(self):
        loaded = loaded_with(bytes_tokenizer())
        assert describe_prompt(loaded, "Q: x\nA:", "auto") == "<bos>Q: x\nA:"
        assert describe_prompt(loaded, "<bos>Q: x\nA:", "auto") == "<bos>Q: x\nA:"
        assert describe_prompt(loaded, "x<bos>", "auto") == "<bos>x<bos>", "given inside a text, it stays"

    def test_encoder_decoders_too(self):
        for kind, text, expected in (
            ("bart", "<s> w1 w2", [BOS, 6, 7, EOS]),
            ("bart", "<s> w1 w2 </s>", [BOS, 6, 7, EOS]),
            ("bart", "w1 w2", [BOS, 6, 7, EOS]),
            ("t5", "w1 w2", [6, 7, EOS]),
        ):
            assert prompt_ids(wrap(_build(kind), words(kind)), text, "off") == [
                token if token in (BOS, EOS) else VOCABULARY[f"w{token - 5}"] for token in expected
            ]


class Slow(PreTrainedTokenizer):
    """A tokenizer in Python: words, with a beginning and an end around them."""

    def __init__(self, add_eos=True, **kwargs):
        self._known = dict(VOCABULARY)
        self.add_eos = add_eos
        super().__init__(**kwargs)

    vocab_size = property(lambda self: len(self._known))

    def get_vocab(self):
        return {**self._known, **self.added_tokens_encoder}

    def _tokenize(self, text, **kwargs):
        return text.split()

    def _convert_token_to_id(self, token):
        return self._known.get(token, self._known["<unk>"])

    def _convert_id_to_token(self, index):
        return next(token for token, i in self._known.items() if i == index)

    def build_inputs_with_special_tokens(self, token_ids_0, token_ids_1=None):
        return [BOS, *token_ids_0, *([EOS] if self.add_eos else [])]

    def save_vocabulary(self, save_directory, filename_prefix=None):
        return ()


def slow(**more):
    return Slow(pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>", **more)


class TestNoEnd:
    """A tokenizer that appends the end of sequence does not end a decoder-only prompt."""

    def test_a_post_processor(self):
        loaded = loaded_with(bytes_tokenizer(single="<bos> $A <eos>"))
        assert loaded.tokenizer("x")["input_ids"][-1] == loaded.tokenizer.eos_token_id
        assert describe_prompt(loaded, "x", "auto") == "<bos>x"
        assert describe_prompt(loaded, "x<eos>", "auto") == "<bos>x<eos>", "given by hand, it stays"
        assert describe_prompt(loaded, "", "auto") == "<bos>"

    def test_llama_with_add_eos_token(self):
        tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a"]
        tokenizer = LlamaTokenizer(
            vocab={token: i for i, token in enumerate(tokens)}, merges=[("▁", "a")], add_bos_token=True,
            add_eos_token=True, pad_token="</s>",
        )  # fmt: skip
        loaded = loaded_with(tokenizer)
        assert tokenizer("ab")["input_ids"] == [1, 6, 5, 2]
        assert prompt_ids(loaded, "ab", "auto") == [1, 6, 5]
        assert output_ids(loaded, "ab", [1, 6, 5], "a b", "auto") == [6, 3, 5, 2], "one end"

    def test_in_python(self):
        loaded = loaded_with(slow())
        w1 = VOCABULARY["w1"]
        assert loaded.tokenizer("w1")["input_ids"] == [BOS, w1, EOS]
        assert prompt_ids(loaded, "w1", "off") == prompt_ids(loaded, "<s> w1", "off") == [BOS, w1]
        assert output_ids(loaded, "w1", [BOS, w1], "w1", "off") == [w1, EOS]

    def test_it_is_what_decoding_starts_from(self):
        plain, ending = bytes_tokenizer(), bytes_tokenizer(single="<bos> $A <eos>")
        model = loaded_with(plain).model
        settings = {"beams": 2, "dropout_samples": 0, "max_new_tokens": 4}
        found, expected = (aftertune.collect(model, one, ["Q: x\nA:"], **settings) for one in (ending, plain))
        np.testing.assert_array_equal(found.greedy.token_ids, expected.greedy.token_ids)
        np.testing.assert_array_equal(found.embedding, expected.embedding)


def after_prompt(loaded, prompt, text, chat="auto"):
    ids = prompt_ids(loaded, prompt, chat)
    return loaded.tokenizer.convert_ids_to_tokens(output_ids(loaded, prompt, ids, text, chat))


class TestAnswers:
    @every_kind
    @pytest.mark.parametrize("prompt", ["Hi", TWO_TURNS])
    def test_prompt_and_answer_are_the_conversation_as_the_template_writes_it(self, kind, prompt):
        loaded = chat_model(kind)
        messages = [("user", prompt)] if isinstance(prompt, str) else prompt.messages
        messages = [{"role": role, "content": content} for role, content in [*messages, ("assistant", "B")]]
        whole = loaded.tokenizer.apply_chat_template(messages, return_dict=False)
        end = loaded.tokenizer.convert_tokens_to_ids(MARKS[kind][4])
        last = len(whole) - whole[::-1].index(end)
        space = loaded.tokenizer.convert_tokens_to_ids("Ġ")
        expected = [*whole[: last - 1], end]
        if expected[-2] == space:  # Llama 2's template has a space before the end
            del expected[-2]
        ids = prompt_ids(loaded, prompt, "auto")
        assert [*ids, *output_ids(loaded, prompt, ids, "B", "auto")] == expected
        rendered, _ = render(loaded, prompt, "auto")
        assert output_ids(loaded, rendered, ids, "B", "off") == output_ids(loaded, prompt, ids, "B", "auto")
        example = Example(
            id="a", prompt="plain", references=("B",), messages=() if prompt == "Hi" else prompt.messages
        )
        if prompt == "Hi":
            example = Example(id="a", prompt="Hi", references=("B",))
        (one,) = tokenise(loaded, [example], chat="auto", too_long="error").examples
        assert list(one.input_ids) == expected
        assert [label for label in one.labels if label != MASKED] == expected[len(ids) :]
        given = aftertune.score_texts(loaded.model, loaded.tokenizer, [rendered], ["B"]).greedy
        assert given.token_ids[0].tolist() == expected[len(ids) :]

    @pytest.mark.parametrize(
        ("prompt", "expected"),
        [
            ("Q\nA:", ["Ġ", "B", "<eos>"]),
            ("Q\nA:\n", ["B", "<eos>"]),
            ("Q\nA: ", ["B", "<eos>"]),
            ("Q\nA:<sep>", ["B", "<eos>"]),
            ("Q\nA:<sep>\n", ["B", "<eos>"]),
            ("", ["B", "<eos>"]),
        ],
    )
    def test_without_a_template(self, prompt, expected):
        loaded = loaded_with(bytes_tokenizer(others=["<sep>"]), "<eos>")
        assert after_prompt(loaded, prompt, "B") == expected
        assert after_prompt(loaded, prompt, "") == ["<eos>"]
        assert after_prompt(loaded, prompt, "B<eos>") == expected

    def test_an_unknown_last_word_is_a_word(self):
        tokenizer = words("causal")
        assert after_prompt(loaded_with(tokenizer), "w1 unheard", "w2") == ["w2", "</s>"]
        with_space = bytes_tokenizer(unk_token="?")  # a token for what is unknown, and an ordinary character
        assert after_prompt(loaded_with(with_space), "w1\n<other>", "w2")[0] == "Ġ"

    def test_the_end_is_one_that_outputs_end_at(self):
        tokenizer = bytes_tokenizer(others=["<end_of_turn>", "<other>"])
        assert after_prompt(loaded_with(tokenizer, "<end_of_turn>", "<eos>"), "x", "") == ["<eos>"]
        assert after_prompt(loaded_with(tokenizer, "<end_of_turn>", "<other>"), "x", "") == ["<end_of_turn>"]
        assert after_prompt(loaded_with(tokenizer), "x", "") == ["<eos>"]

    def test_a_template_whose_end_ends_nothing_is_told(self):
        template, bos, eos, others, end = MARKS["gemma"]
        tokenizer = bytes_tokenizer(bos, eos, others, template)
        loaded = loaded_with(tokenizer, eos)
        assert after_prompt(loaded, "Hi", "B") == ["B", eos]
        assert turn_notes(loaded, "auto") == [
            "the chat template of mine ends answers with <end_of_turn> (id "
            f"{tokenizer.convert_tokens_to_ids(end)}), at which outputs do not end (eos_token_id "
            f"{tokenizer.eos_token_id}): they may run on; add it to eos_token_id in generation_config.json"
        ]
        assert turn_notes(loaded, "off") == turn_notes(chat_model("gemma"), "auto") == []

    def test_a_template_that_asks_in_another_way_than_it_answers(self):
        template = (
            "{% for m in messages %}{% if m['role'] == 'user' %}U:{{ m['content'] }}\n{% else %}"
            "A:<think></think>{{ m['content'] }}<eos>{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}A:<think>\n{% endif %}"
        )
        loaded = loaded_with(bytes_tokenizer(template=template))
        assert turn_of(loaded.tokenizer).gap is None
        assert after_prompt(loaded, "Hi", "B") == ["B", "<eos>"]

    def test_a_template_that_refuses_short_conversations(self):
        template = (
            "{% if messages|length < 3 %}{{ raise_exception('no') }}{% endif %}{{ messages[-1]['content'] }}:"
        )
        loaded = loaded_with(bytes_tokenizer(template=template))
        assert turn_of(loaded.tokenizer) is None
        assert after_prompt(loaded, TWO_TURNS, "B") == ["Ġ", "B", "<eos>"]

    def test_white_space_that_would_merge_is_not_doubled(self):
        """Spaces belong to the words after them, and a text of its own begins with one."""
        tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", ":", "▁a", "▁b", "\n"]
        tokenizer = LlamaTokenizer(
            vocab={token: i for i, token in enumerate(tokens)}, merges=[("▁", "a"), ("▁", "b")], pad_token="</s>",
        )  # fmt: skip
        loaded = loaded_with(tokenizer)
        prompt = prompt_ids(loaded, "a: ", "off")
        assert tokenizer("b", add_special_tokens=False)["input_ids"] == [tokens.index("▁b")]
        assert output_ids(loaded, "a: ", prompt, "b", "off") == [tokens.index("b"), 2]
        assert output_ids(loaded, "a:", prompt_ids(loaded, "a:", "off"), "b", "off") == [tokens.index("▁b"), 2]

    def test_targets_of_encoder_decoders_end(self):
        model, tokenizer = _build("t5"), words("t5")
        bare = copy.deepcopy(tokenizer)
        bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
        coded = copy.deepcopy(tokenizer)  # as mBART: a code after the end
        coded.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s> <s>", special_tokens=[("</s>", EOS), ("<s>", BOS)]
        )
        w1 = VOCABULARY["w1"]
        for one, expected in ((tokenizer, [w1, EOS]), (bare, [w1, EOS]), (coded, [w1, EOS, BOS])):
            assert output_ids(wrap(model, one), "w2", [7], "w1", "off") == expected

    def test_an_answer_that_is_begun_is_continued(self):
        loaded = chat_model("gemma")
        begun = Chat(text="plain", messages=(("user", "Hi"), ("assistant", "The answer")))
        assert render(loaded, begun, "auto")[0].endswith("<start_of_turn>model\nThe answer")
        assert after_prompt(loaded, begun, "B") == ["Ġ", "B", "<end_of_turn>"]


class TestTemplateErrors:
    @pytest.mark.parametrize(
        ("template", "reason"),
        [
            (GEMMA, "System role not supported"),
            ("{% for m in messages %}", "Unexpected end of template"),
            ("{{ messages[0]['content'] + 1 }}", "can only concatenate str"),
            ("{{ messages[7]['content'].strip() }}", "has no element 7"),
            ("{{ messages | nothing }}", "No filter named 'nothing'"),
            ({"tools": GEMMA}, "multiple chat templates with no default"),
        ],
    )
    def test_one_line(self, template, reason):
        loaded = loaded_with(bytes_tokenizer(template=template))
        prompt = Chat(text="plain", messages=(("system", "Be brief."), ("user", "Hi")))
        with pytest.raises(InputError) as error:
            encode(loaded, [prompt], PromptOptions(), 4, ["q7"])
        message = str(error.value)
        assert message.startswith("the chat template of mine fails on item 'q7': ")
        assert reason in message
        assert message.endswith(": set chat to off (--chat off), or mend the template")
        assert "\n" not in message
        example = Example(id="t1", prompt="plain", references=("a",), messages=prompt.messages)
        with pytest.raises(InputError, match="fails on training item 't1'"):
            tokenise(loaded, [example], chat="auto", too_long="error")
        assert describe_prompt(loaded, prompt, "off") == "<bos>plain"


class TestLabels:
    """Special tokens that are answers are text; those around texts are not."""

    def test_kept_as_the_tokenizer_writes_them(self):
        tokenizer = bytes_tokenizer(others=["<yes>", "<no>", "<extra_id_0>"])
        tokenizer.add_tokens(["<maybe>"], special_tokens=True)
        loaded = loaded_with(tokenizer)
        for text in ("<yes>", "It is <no>, not<maybe> so", "<yes><no>", "plain  words\n", "", "<yes> "):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            around = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, tokenizer.pad_token_id]
            assert output_texts(loaded, [around]) == [text.strip()]
        sentinel = tokenizer("<extra_id_0> x", add_special_tokens=False)["input_ids"]
        assert output_texts(loaded, [sentinel]) == ["x"]

    def test_what_the_chat_template_writes_is_not_an_answer(self):
        loaded = chat_model("llama3")
        loaded.tokenizer.add_special_tokens(
            {"extra_special_tokens": ["<yes>"]}, replace_extra_special_tokens=False
        )
        ids = loaded.tokenizer("<yes><|eot_id|><|start_header_id|>user<|end_header_id|>")["input_ids"]
        assert output_texts(loaded, [ids]) == ["<yes>user"]

    @pytest.mark.parametrize("kind", ["causal", "t5", "bart"])
    def test_words(self, kind):
        tokenizer = words(kind)
        tokenizer.add_special_tokens({"extra_special_tokens": ["<yes>", "<no>"]})
        config = _build("llama" if kind == "causal" else kind).config
        generation = SimpleNamespace(eos_token_id=EOS, pad_token_id=PAD, decoder_start_token_id=EOS)
        loaded = without_weights(config, generation, tokenizer, "words")
        ids = tokenizer("w1 <yes> <no> w2")["input_ids"]
        assert output_texts(loaded, [ids, [EOS], [], tokenizer("w3 unheard")["input_ids"]]) == [
            "w1 <yes> <no> w2", "", "", "w3",
        ]  # fmt: skip

    def test_in_python(self):
        tokenizer = slow(extra_special_tokens=["<yes>"])
        loaded = loaded_with(tokenizer)
        assert output_texts(loaded, [tokenizer("w1 <yes> w2")["input_ids"]]) == ["w1 <yes> w2"]

    def test_a_language_code_is_not_an_answer(self):
        tokenizer = words("bart")
        tokenizer.add_special_tokens({"extra_special_tokens": ["deu_Latn", "afr_Latn", "zul_Latn", "<yes>"]})
        code = tokenizer.convert_tokens_to_ids("deu_Latn")
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="deu_Latn $A </s>", special_tokens=[("deu_Latn", code), ("</s>", EOS)]
        )
        loaded = wrap(_build("bart"), tokenizer)
        rows = [tokenizer(f"{code} w1 <yes>")["input_ids"] for code in ("afr_Latn", "zul_Latn", "")]
        assert output_texts(loaded, rows) == ["w1 <yes>"] * 3
        bare = words("bart")  # adds no code of its own: the forced token tells which one it is
        bare.add_special_tokens({"extra_special_tokens": ["afr_Latn", "<yes>"]})
        loaded.model.resize_token_embeddings(len(bare), mean_resizing=False)
        loaded.model.generation_config.forced_bos_token_id = bare.convert_tokens_to_ids("afr_Latn")
        assert output_texts(wrap(loaded.model, bare), [bare("afr_Latn w1 <yes>")["input_ids"]]) == ["w1 <yes>"]

    def test_evidence_has_them(self):
        tokenizer = bytes_tokenizer(others=["<yes>"])
        loaded = loaded_with(tokenizer)
        with torch.no_grad():
            loaded.model.lm_head.weight.zero_()
            loaded.model.lm_head.weight[tokenizer.convert_tokens_to_ids("<yes>"), :] = (
                loaded.model.lm_head.weight.new_ones(32)
            )
        found = aftertune.collect(
            loaded.model, tokenizer, ["a", "bc"], beams=0, dropout_samples=2, dropout="residual:0.01",
            max_new_tokens=2, embedding=False,
        )  # fmt: skip
        expected = {tokenizer.decode(row) for row in found.greedy.token_ids.tolist()}
        assert set(found.greedy.text) == {text.strip() for text in expected}
        given = aftertune.score_texts(loaded.model, tokenizer, ["a", "bc"], found.greedy.token_ids)
        assert list(given.greedy.text) == list(found.greedy.text)


class TestIdentity:
    def test_same_tokenizer_same_digest(self, tmp_path):
        made = bytes_tokenizer(template=GEMMA)
        made.save_pretrained(tmp_path)
        read = PreTrainedTokenizerFast.from_pretrained(tmp_path)
        before = prompt_identity(made, "auto")
        read(["a", "bcd"], padding=True, truncation=True, max_length=2)
        assert prompt_identity(read, "auto") == before == prompt_identity(made, "on")
        assert prompt_identity(slow(), "off") == prompt_identity(slow(), "auto")

    def test_all_that_changes_prompts_or_texts_changes_it(self):
        made = [
            bytes_tokenizer(),
            bytes_tokenizer(template=GEMMA),
            bytes_tokenizer(template=GEMMA + " "),
            bytes_tokenizer(single="<bos> $A <eos>"),
            bytes_tokenizer(single="$A"),
            bytes_tokenizer(others=["<yes>"]),
            bytes_tokenizer(bos="<s>"),
            slow(),
            slow(add_eos=False),
            slow(extra_special_tokens=["<yes>"]),
        ]
        cleaned = bytes_tokenizer()
        cleaned.clean_up_tokenization_spaces = True
        assert len({prompt_identity(one, "auto") for one in [*made, cleaned]}) == 11
        assert prompt_identity(made[0], "off") == prompt_identity(made[1], "off")


def test_what_the_model_sees_can_be_read():
    loaded = chat_model("llama3")
    assert describe_prompt(loaded, TWO_TURNS, "auto") == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nSay A.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nAnd B?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert text_ids(loaded, "x", templated=True) == loaded.tokenizer("x", add_special_tokens=False)["input_ids"]


def test_an_end_that_is_an_added_token_but_no_special_one():
    tokenizer = bytes_tokenizer(template=GEMMA)
    tokenizer.add_tokens(["<start_of_turn>", "<end_of_turn>"])
    loaded = loaded_with(tokenizer, "<eos>", "<end_of_turn>")
    assert after_prompt(loaded, "Hi", "B") == ["B", "<end_of_turn>"]
