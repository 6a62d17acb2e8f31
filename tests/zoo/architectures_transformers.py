"""Architectures of transformers, each from a small configuration."""

from functools import partial

import torch
from architectures import Architecture, images

TEXT = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "use_cache": False,
}
GROUPED = TEXT | {"num_key_value_heads": 2, "head_dim": 8}
MIXTURE = GROUPED | {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
TWO = {
    "vocab_size": 100,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "use_cache": False,
}
VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
T5 = {"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "use_cache": False}
MAMBA = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "use_cache": False}
SOUND = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16, 24),
    "conv_stride": (4, 2),
    "conv_kernel": (8, 4),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 20,
    "num_feat_extract_layers": 2,
}
STAGES = {"depths": [1, 1], "hidden_sizes": [16, 32], "num_stages": 2}
RESNET = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}

# torch's product of a mixture of experts takes no float64.
IN_FLOAT32 = {"Qwen3MoeForCausalLM", "MixtralForCausalLM", "OlmoeForCausalLM", "GptOssForCausalLM", "JambaForCausalLM"}


def ids(n=9):
    return torch.randint(1, 90, (2, n))


def text():
    return {"input_ids": ids()}


def two():
    return {"input_ids": ids(), "decoder_input_ids": ids(7)}


def sound():
    return {"input_values": torch.randn(2, 400)}


def text_and_image(size=32):
    return {"input_ids": ids(), "pixel_values": torch.randn(2, 3, size, size)}


def features():
    return {"input_features": torch.randn(2, 16, 40), "decoder_input_ids": ids(7)}


# name of the model's class, its configuration, what it takes
MODELS = [
    ("LlamaForCausalLM", GROUPED, text),
    ("Qwen2ForCausalLM", GROUPED, text),
    ("Qwen3ForCausalLM", GROUPED, text),
    ("Qwen3MoeForCausalLM", MIXTURE, text),
    ("GemmaForCausalLM", GROUPED, text),
    ("Gemma2ForCausalLM", GROUPED | {"sliding_window": 4}, text),
    ("Gemma3ForCausalLM", GROUPED | {"sliding_window": 4}, text),
    ("MistralForCausalLM", GROUPED, text),
    ("MixtralForCausalLM", MIXTURE, text),
    ("OlmoeForCausalLM", MIXTURE, text),
    (
        "DeepseekV3ForCausalLM",
        TEXT
        | {
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 8,
            "n_routed_experts": 4,
            "experts_implementation": "batched_mm",
            "n_group": 1,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "first_k_dense_replace": 1,
        },
        text,
    ),
    ("GptOssForCausalLM", MIXTURE | {"layer_types": ["sliding_attention", "full_attention"]}, text),
    ("Phi3ForCausalLM", GROUPED, text),
    ("CohereForCausalLM", GROUPED, text),
    ("FalconForCausalLM", TEXT | {"ffn_hidden_size": 48}, text),
    ("BloomForCausalLM", {"vocab_size": 100, "hidden_size": 32, "n_layer": 2, "n_head": 4, "use_cache": False}, text),
    ("OPTForCausalLM", TEXT | {"ffn_dim": 48, "word_embed_proj_dim": 32}, text),
    ("GPT2LMHeadModel", {"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "use_cache": False}, text),
    ("GPTNeoXForCausalLM", TEXT, text),
    (
        "GPTJForCausalLM",
        {"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "use_cache": False},
        text,
    ),
    ("MptForCausalLM", {"vocab_size": 100, "d_model": 32, "n_layers": 2, "n_heads": 4, "use_cache": False}, text),
    ("MambaForCausalLM", MAMBA, text),
    ("Mamba2ForCausalLM", MAMBA | {"num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 4}, text),
    (
        "JambaForCausalLM",
        MIXTURE
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "use_mamba_kernels": False,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
        },
        text,
    ),
    (
        "RwkvForCausalLM",
        {
            "vocab_size": 100,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "attention_hidden_size": 32,
            "intermediate_size": 48,
            "use_cache": False,
        },
        text,
    ),
    ("T5ForConditionalGeneration", T5, two),
    ("MT5ForConditionalGeneration", T5, two),
    ("BartForConditionalGeneration", TWO, two),
    ("PegasusForConditionalGeneration", TWO, two),
    ("M2M100ForConditionalGeneration", TWO, two),
    ("BertForMaskedLM", TEXT, text),
    ("RobertaForMaskedLM", TEXT, text),
    ("ElectraForMaskedLM", TEXT | {"embedding_size": 16}, text),
    ("AlbertForMaskedLM", TEXT | {"embedding_size": 16}, text),
    ("DistilBertForMaskedLM", {"vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}, text),
    ("DebertaV2ForMaskedLM", TEXT | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, text),
    (
        "ModernBertForMaskedLM",
        TEXT | {"sep_token_id": 2, "cls_token_id": 1, "bos_token_id": 1, "eos_token_id": 2, "local_attention": 4},
        text,
    ),
    ("XLNetLMHeadModel", {"vocab_size": 100, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}, text),
    ("FNetForMaskedLM", TEXT, text),
    ("ViTForImageClassification", VIT, images(32)),
    ("Dinov2ForImageClassification", VIT, images(32)),
    ("BeitForImageClassification", VIT | {"use_relative_position_bias": True}, images(32)),
    (
        "SwinForImageClassification",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
        images(32),
    ),
    ("ConvNextV2ForImageClassification", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}, images(32)),
    ("ResNetForImageClassification", RESNET, images(32)),
    (
        "SegformerForSemanticSegmentation",
        {
            "num_encoder_blocks": 2,
            "depths": [1, 1],
            "sr_ratios": [2, 1],
            "hidden_sizes": [16, 32],
            "num_attention_heads": [2, 4],
            "decoder_hidden_size": 24,
            "patch_sizes": [7, 3],
            "strides": [4, 2],
            "mlp_ratios": [2, 2],
        },
        images(32),
    ),
    (
        "DetrForObjectDetection",
        {
            "use_timm_backbone": False,
            "backbone_config": RESNET | {"model_type": "resnet", "out_features": ["stage2"]},
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "num_queries": 5,
        },
        images(64),
    ),
    (
        "SegformerForImageClassification",
        {
            "num_encoder_blocks": 2,
            "depths": [1, 1],
            "sr_ratios": [2, 1],
            "hidden_sizes": [16, 32],
            "num_attention_heads": [2, 4],
            "patch_sizes": [7, 3],
            "strides": [4, 2],
            "mlp_ratios": [2, 2],
        },
        images(32),
    ),
    (
        "MobileViTForImageClassification",
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 48],
            "num_attention_heads": 4,
        },
        images(64),
    ),
    (
        "WhisperForConditionalGeneration",
        TWO
        | {
            "num_mel_bins": 16,
            "max_source_positions": 20,
            "max_target_positions": 20,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        features,
    ),
    ("Wav2Vec2ForCTC", SOUND, sound),
    ("HubertForCTC", SOUND, sound),
    (
        "CLIPModel",
        {"text_config": TEXT | {"eos_token_id": 2}, "vision_config": VIT, "projection_dim": 24},
        text_and_image,
    ),
    ("SiglipModel", {"text_config": TEXT, "vision_config": VIT}, text_and_image),
    (
        "BlipForConditionalGeneration",
        {"text_config": TEXT | {"encoder_hidden_size": 32, "bos_token_id": 1, "sep_token_id": 2}, "vision_config": VIT},
        text_and_image,
    ),
]


def architectures():
    import transformers

    return [
        Architecture(
            "transformers",
            name,
            partial(_built, getattr(transformers, name), settings),
            example,
            dtype=torch.float32 if name in IN_FLOAT32 else torch.float64,
        )
        for name, settings, example in MODELS
    ]


def _built(model, settings):
    return model(model.config_class(**settings))
