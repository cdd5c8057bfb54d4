"""Tiny models of every architecture that the installed transformers builds from a small configuration.

A configuration is `SIZES` and `IDS`, as far as the architecture has settings of these names, then its own line in
`SPECIAL`. Windows are 9 tokens and longrope's short factors reach to 16, so that prompts of 2 to 14 tokens and
outputs of 10 stand on both sides of them.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from tiny import BOS, EOS, PAD, VOCABULARY

MOST_WEIGHTS = 1_000_000
SIZES: dict[str, Any] = {
    # widths
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embedding_size"), 32),
    **dict.fromkeys(("input_embedding_size", "output_embedding_size", "word_embed_proj_dim", "lru_width"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(("ffn_hidden_size", "intermediate_size_mlp"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size"), 16),
    **dict.fromkeys(("moe_shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    # depth
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers", "num_decoder_layers", "num_encoder_layers"), 2),
    # heads
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels", "swa_head_dim"), 8),
    "rotary_dim": 4,
    "kv_lora_rank": 8,
    "q_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "qk_head_dim": 8,
    "v_head_dim": 8,
    # experts
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk"), 2),
    **dict.fromkeys(("n_group", "topk_group", "num_expert_group", "n_shared_experts", "num_shared_experts"), 1),
    **dict.fromkeys(("moe_num_shared_experts", "first_k_dense_replace", "num_dense_layers"), 1),
    # windows and positions
    **dict.fromkeys(("sliding_window", "window_size", "attention_window_size", "attention_chunk_size"), 9),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length"), 64),
    **dict.fromkeys(("max_encoder_position_embeddings", "max_decoder_position_embeddings"), 64),
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    # recurrence
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "mamba_d_head", "mamba_head_dim", "mamba_headdim"), 8),
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_n_groups", "n_groups"), 1),
    **dict.fromkeys(("mamba_chunk_size", "chunk_size", "time_step_rank", "mamba_dt_rank"), 4),
    "mamba_d_ssm": 64,
    "linear_num_key_heads": 2,
    **dict.fromkeys(("linear_num_value_heads", "linear_num_heads"), 4),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim"), 8),
}
IDS = {
    "vocab_size": len(VOCABULARY),
    "decoder_vocab_size": len(VOCABULARY),
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "decoder_start_token_id": PAD,
    "use_cache": True,
    "tie_word_embeddings": False,
}


def _layers(*kinds: str) -> dict[str, Any]:
    return {"num_hidden_layers": len(kinds), "layer_types": list(kinds)}


SLIDING, FULL, LINEAR = "sliding_attention", "full_attention", "linear_attention"
WINDOWS = _layers(SLIDING, FULL)
USED_WINDOWS = {**WINDOWS, "use_sliding_window": True}
HYBRID = _layers(LINEAR, FULL)
DECODER = {"is_decoder": True}
LATENT = {"head_dim": 4, "num_key_value_heads": 4}
INDEXED = {**LATENT, "index_topk": 4, "index_head_dim": 8, "index_n_heads": 2}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [3.0] * 4,
    "original_max_position_embeddings": 16,
    "partial_rotary_factor": 1.0,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
INKLING = {
    "layer_types": ["hybrid_sliding", "hybrid"],
    "sliding_window_size": 9,
    "mlp_layer_types": ["dense", "sparse"],
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 2,
}
DENSE_THEN_SPARSE = {"mlp_layer_types": ["dense", "sparse"]}
GEMMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": len(VOCABULARY),
    "sliding_window": 6,
    "max_position_embeddings": 64,
    "layer_types": [SLIDING, FULL],
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}

BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": len(VOCABULARY),
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
}

SPECIAL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("afmoe", "beam", "cohere2", "cohere2_moe", "cwm", "exaone4", "exaone_moe"), WINDOWS),
    **dict.fromkeys(("gemma2", "gemma3_text", "gemma4_unified_text", "gpt_oss", "granite_swa"), WINDOWS),
    **dict.fromkeys(("granitemoe_swa", "kolibri1", "laguna", "mellum", "mimo_v2_flash", "ministral"), WINDOWS),
    **dict.fromkeys(("modernbert-decoder", "olmo3", "vaultgemma"), WINDOWS),
    **dict.fromkeys(("dots1", "flint", "qwen2", "qwen3", "smollm3"), USED_WINDOWS),
    "qwen2_moe": {**WINDOWS, "use_sliding_window": True, "sliding_window": 9},
    "qwen3_moe": {"use_sliding_window": True, "sliding_window": 9},
    **dict.fromkeys(("bert", "bert-generation", "camembert", "data2vec-text", "electra", "ernie"), DECODER),
    **dict.fromkeys(("megatron-bert", "rembert", "roberta", "roberta-prelayernorm", "roformer"), DECODER),
    **dict.fromkeys(("xlm-roberta", "xlm-roberta-xl"), DECODER),
    "big_bird": {**DECODER, "attention_type": "original_full"},
    "xmod": {**DECODER, "default_language": "en_XX"},
    "roc_bert": {
        **DECODER, "pronunciation_embed_dim": 8, "pronunciation_vocab_size": 45, "shape_embed_dim": 8,
        "shape_vocab_size": 45,
    },
    **dict.fromkeys(("axk1", "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "longcat_flash"), LATENT),
    **dict.fromkeys(("minicpm3", "youtu"), LATENT),
    **dict.fromkeys(("axk2", "deepseek_v32", "glm_moe_dsa"), INDEXED),
    "deepseek_v4": {"layer_types": [SLIDING, "heavily_compressed_attention"]},
    "bailing_hybrid": {**HYBRID, **LATENT, **DENSE_THEN_SPARSE, "num_nextn_predict_layers": 0},
    "kimi_linear": {**HYBRID, **LATENT, **DENSE_THEN_SPARSE},
    **dict.fromkeys(("granitemoehybrid", "olmo_hybrid", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_next"), HYBRID),
    "minimax": _layers(FULL, LINEAR),
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "jamba": {"num_hidden_layers": 3, "attn_layer_period": 3, "attn_layer_offset": 1, "expert_layer_period": 2},
    **dict.fromkeys(("lfm2", "lfm2_moe"), _layers("conv", FULL)),
    "lfm3": _layers("conv", SLIDING, FULL),
    "qwen4_exp_text": {
        **HYBRID, "hc_lowrank": 8, "ple_embed_dim": 16, "ngram_vocab_size_base": 50, "split_ngram_parts": 1,
        "make_ngram_vocab_size_divisible_by": 4, "heads_per_ngram": 2, "indexer_n_heads": 2, "indexer_kv_heads": 1,
        "indexer_head_dim": 8, "indexer_budget": 4, "indexer_compress_ratio": 2,
    },
    "recurrent_gemma": {"num_hidden_layers": 3, "num_key_value_heads": 4},
    "zamba": {
        **_layers(LINEAR, "hybrid", LINEAR), "attention_hidden_size": 64, "attention_head_dim": 16,
        "num_key_value_heads": 4, "head_dim": ...,
    },
    "zamba2": {
        "num_hidden_layers": 3, "layers_block_type": [LINEAR, "hybrid", LINEAR], "n_mamba_heads": 8,
        "num_key_value_heads": 4, "adapter_rank": 4, "head_dim": ...,
    },
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "nemotron_h": {"layers_block_type": [LINEAR, "moe", FULL, "mlp"], "num_hidden_layers": ...},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128, "num_blocks": 2, "head_dim": ...},
    "cpmant": {
        "dim_head": 8, "dim_ff": 48, "position_bias_num_buckets": 8, "position_bias_max_distance": 64,
        "prompt_length": 4, "prompt_types": 4, "segment_types": 4,
    },
    "ctrl": {"dff": 48},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 16, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "dots3_note_text": {
        **DENSE_THEN_SPARSE, **INDEXED, "layer_types": ["indexed_attention", SLIDING], "head_dim": 8,
        "per_layer_config": None, "shared_experts_intermediate_size": 16,
    },
    "gemma3n_text": {
        **_layers(SLIDING, FULL, SLIDING, FULL), "num_kv_shared_layers": 2, "intermediate_size": [48] * 4,
        "activation_sparsity_pattern": [0.0] * 4, "vocab_size_per_layer_input": 45, "laurel_rank": 8,
        "hidden_size_per_layer_input": 8,
    },
    "gemma4_text": {**WINDOWS, "vocab_size_per_layer_input": 45, "hidden_size_per_layer_input": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "llama4_text": {"layer_types": ["chunked_attention", FULL], "num_experts_per_tok": 1},
    **dict.fromkeys(("inkling_text", "inkling2_text"), INKLING),
    "phi3": {"original_max_position_embeddings": 16, "rope_parameters": {**LONGROPE, "factor": 4.0}},
    "phimoe": {"rope_parameters": {**LONGROPE, "short_mscale": 1.0, "long_mscale": 1.2}},
    "cohere_compass_text": {**WINDOWS, "rope_parameters": dict.fromkeys((SLIDING, FULL), ROPE)},
    "reformer": {
        **DECODER, "attn_layers": ["local", "local"], "local_attn_chunk_length": 8, "attention_head_size": 8,
        "feed_forward_size": 48, "axial_pos_embds": False,
    },
    "doge": {"keep_window_size": 64},
    "minimax_m3_vl_text": {"index_block_size": 4, "index_topk_blocks": 2},
    "fsmt": {"src_vocab_size": 45, "tgt_vocab_size": 45, "langs": ["en", "de"]},
    "led": {"attention_window": 4},
    "longt5": {"local_radius": 3, "global_block_size": 4},
    "switch_transformers": {"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    "nllb-moe": {"encoder_sparse_step": 2, "decoder_sparse_step": 2},
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1, "attention_type": "original_full"},
    "pegasus_x": {"block_size": 4},
    "encoder-decoder": {"encoder": BERT, "decoder": {**BERT, **DECODER, "add_cross_attention": True}},
    "t5gemma": {"encoder": GEMMA, "decoder": GEMMA, "vocab_size": 45},
}  # fmt: skip


NOT_TEXT = "reads or writes images or sound; where it has a text model of its own, that one is covered"
DRAFTER = "a drafter, which reads another model's cache"
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(("dots3_note", "emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_unified"), NOT_TEXT),
    **dict.fromkeys(("git", "got_ocr2", "llama4", "mllama", "musicgen", "musicgen_melody"), NOT_TEXT),
    **dict.fromkeys(("phi4_multimodal", "qwen3_5", "qwen3_5_moe", "qwen4_exp"), NOT_TEXT),
    **dict.fromkeys(("audioflamingo3", "glmasr", "granite_speech", "granite_speech_plus"), NOT_TEXT),
    **dict.fromkeys(("moss_transcribe_diarize", "musicflamingo", "nemo_speechlm", "qwen2_audio"), NOT_TEXT),
    **dict.fromkeys(("qwen3_asr", "t5gemma2", "vibevoice_asr", "voxtral", "voxtral_realtime"), NOT_TEXT),
    **dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), DRAFTER),
    "blt": "reads bytes, through a patcher that is a model of its own",
}
"""Model types that no test builds, and why."""

REFUSED = {
    "cpmant": "`generate` puts learned prompt tokens before the prompt",
    "reformer": "`generate` caches buckets of hidden states; without them it fails",
    "xlm": "`generate` appends a mask token, which it fills in",
    "xlnet": "`generate` appends a dummy token and reads the two last ones anew",
}
"""Model types that are refused before decoding, and why."""

BEAMS_WITHOUT_CACHE = {
    "minimax": "`generate` leaves the states of linear attention where they are when beams change places",
    "recurrent_gemma": "`generate` leaves the recurrent states where they are when beams change places",
    **dict.fromkeys(("rwkv", "xlstm"), "`generate` refuses beams with a cache"),
}
"""Model types whose beams are compared with those of `generate` without a cache."""


def registered(seq2seq: bool) -> list[str]:
    """Model types that the installed transformers generates text with."""
    return sorted(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES if seq2seq else MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def build(model_type: str, seq2seq: bool, spread: float = 0.3, **settings: Any):
    """A tiny model in evaluation mode, with random weights of at least this standard deviation: ordinary ones
    would say the same whatever the prompt is."""
    kind = CONFIG_MAPPING[model_type]
    auto = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    with warnings.catch_warnings(), torch.random.fork_rng(), torch.no_grad():
        warnings.simplefilter("ignore")
        renamed = getattr(kind, "attribute_map", {})
        names = {*kind().to_dict(), *renamed}
        values = {name: value for name, value in {**SIZES, **IDS}.items() if name in names}
        values = {name: value for name, value in values.items() if renamed.get(name) not in values}
        values |= {**SPECIAL.get(model_type, {}), **settings}
        config = kind(**{name: value for name, value in values.items() if value is not ...})
        with torch.device("meta"):
            weights = sum(weight.numel() for weight in auto.from_config(config).parameters())
        assert weights < MOST_WEIGHTS, f"{model_type} has {weights} weights: give it a line in SPECIAL or LEFT_OUT"
        torch.manual_seed(1)
        model = auto.from_config(config).eval()
        for weight in model.parameters():
            if weight.ndim >= 2 and 0 < weight.std() < spread:
                weight.mul_(spread / weight.std())
    settings = model.generation_config
    settings.forced_bos_token_id = settings.forced_eos_token_id = None
    if seq2seq and settings.decoder_start_token_id is None:
        settings.decoder_start_token_id = PAD
    return model
