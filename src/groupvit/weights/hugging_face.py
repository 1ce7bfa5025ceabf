"""Model folder in the layout of `transformers`, with its preprocessing."""

from pathlib import Path
from typing import Any

from groupvit.errors import InputError
from groupvit.model.config import TRUNKS, GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.normalization import DEVIATION, MEAN
from groupvit.text.tokenizer import VOCABULARY_SIZE, read_byte_pairs
from groupvit.weights.checkpoint import CONFIG_FILE, as_json, write_folder
from groupvit.weights.layouts import HUGGING_FACE


def save(folder: Path, model: GroupViT, *, overwrite: bool = False) -> list[str]:
    """Write the model as a folder that `transformers` loads; returns the names left out.

    Raises:
        InputError: That layout cannot hold this architecture, or the folder cannot be written.
    """
    tensors = model.state_dict()
    texts = {
        CONFIG_FILE: as_json(architecture(model.config)),
        "preprocessor_config.json": as_json(image_processor(model.config.image.image_size)),
        **tokenizer(model.config.text.context_length, model.config.text.vocabulary_size),
    }
    write_folder(folder, texts, HUGGING_FACE.from_ours(tensors), overwrite=overwrite)
    return [name for name in tensors if not HUGGING_FACE.foreign(name)]


def architecture(config: GroupViTConfig) -> dict[str, Any]:
    """The architecture as `transformers` writes it into `config.json`."""
    image, text, stages = config.image, config.text, config.image.stages
    _refuse_ours(config)
    if any(stage.num_group_tokens != stage.num_groups for stage in stages[:-2]):
        raise InputError(
            "the Hugging Face layout needs as many groups as group tokens in a stage that another "
            "grouping follows; keep our own layout"
        )
    return {
        "architectures": ["GroupViTModel"],
        "model_type": "groupvit",
        "projection_dim": config.embedding_dim,
        "projection_intermediate_dim": config.projector_dim,
        "text_config": {
            "model_type": "groupvit_text_model",
            "vocab_size": text.vocabulary_size,
            "hidden_size": text.dim,
            "intermediate_size": int(text.dim * text.mlp_ratio),
            "num_hidden_layers": text.depth,
            "num_attention_heads": text.num_heads,
            "max_position_embeddings": text.context_length,
            "eos_token_id": text.vocabulary_size - 1,
            "bos_token_id": text.vocabulary_size - 2,
        },
        "vision_config": {
            "model_type": "groupvit_vision_model",
            "hidden_size": image.dim,
            "intermediate_size": int(image.dim * image.mlp_ratio),
            "num_hidden_layers": sum(stage.depth for stage in stages),
            "depths": [stage.depth for stage in stages],
            "num_group_tokens": [stage.num_group_tokens for stage in stages],
            "num_output_groups": [stage.num_groups for stage in stages],
            "num_attention_heads": image.num_heads,
            "image_size": image.image_size,
            "patch_size": image.patch_size,
            "assign_mlp_ratio": [0.5, image.mlp_ratio],
        },
    }


def _refuse_ours(config: GroupViTConfig) -> None:
    """Refuse an architecture that only our own layout can hold."""
    image = config.image
    beyond = {
        "pretrained trunk": image.stem in TRUNKS,
        "soft grouping block": image.grouping == "soft",
        "convolutional stem": image.stem == "convolutions",
        "missing positions": not image.positions,
        "pooling of embeddings": image.pooling == "embeddings",
        "centered projectors": config.centered,
        "projector of patches": config.patch_projector,
        "learned background": config.background_layer,
        "spatial block": config.spatial is not None,
        "stage without blocks": any(stage.depth == 0 for stage in image.stages),
    }
    for name, used in beyond.items():
        if used:
            raise InputError(f"the Hugging Face layout has no {name}; keep our own layout")


def image_processor(size: int) -> dict[str, Any]:
    """Preprocessing with the mean and deviation that the weights were trained with.

    The folders of Hugging Face's own port carry CLIP's instead (reference: the port's processor).
    """
    return {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "image_mean": [value / 255 for value in MEAN],
        "image_std": [value / 255 for value in DEVIATION],
    }


def tokenizer(context_length: int, vocabulary_size: int = VOCABULARY_SIZE) -> dict[str, str]:
    """The files of CLIP's tokenizer as `transformers` reads them, by name.

    A smaller vocabulary lacks the tokens that were learned last, and the merges that make them.
    """
    tokens, merges = read_byte_pairs(vocabulary_size)
    lines = [f"{tokens[left]} {tokens[right]}" for left, right in merges]
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": context_length,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    return {
        "vocab.json": as_json({token: index for index, token in enumerate(tokens)}),
        "merges.txt": "\n".join(["#version: 0.2", *lines, ""]),
        "tokenizer_config.json": as_json(settings),
    }
