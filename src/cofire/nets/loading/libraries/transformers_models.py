"""Models of transformers, from a folder or the hub."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .preprocessing import Preprocessing, first_line
from .transformers_log import quiet

TAKES = {"input_ids": "texts", "pixel_values": "images", "input_values": "sounds", "input_features": "sounds"}
"""What a model takes, by the name of its main input."""
MOST_TOKENS = 512
"""Texts are cut after so many tokens, or fewer if the model has fewer positions."""


class Transformers(Preprocessing):
    """Prepares inputs by the tokenizer, image processor or feature extractor that lies beside a model's weights.

    Args:
        model: the model.
        source: the folder or hub id; empty if the model was built from a configuration alone.
    """

    def __init__(self, model: Any, source: str) -> None:
        super().__init__(model)
        self._source, self._config = source, model.config
        self.by = f"the preprocessing of {source}" if source else "the model's own preprocessing"
        self.takes = TAKES.get(getattr(model, "main_input_name", ""))
        self.image_mode = "L" if getattr(self._config, "num_channels", 3) == 1 else "RGB"
        self.label_of = {
            str(name): int(index) for name, index in (getattr(self._config, "label2id", None) or {}).items()
        }

    def images(self, images: Sequence[Any]) -> Any:
        """Return a batch of images: a tensor if the model takes nothing else, else keyword inputs."""
        made = self._prepared(self._image_processor, list(images))
        return made["pixel_values"] if set(made) == {"pixel_values"} else made

    def texts(self, texts: Sequence[str]) -> Any:
        """Return texts as keyword inputs, padded to the longest, with a mask that leaves padding out."""
        positions = getattr(self._config.get_text_config(), "max_position_embeddings", None) or MOST_TOKENS
        longest = min(self._tokenizer.model_max_length, positions, MOST_TOKENS)
        options = {"padding": True, "truncation": True, "max_length": longest}
        return self._with_decoder(self._prepared(self._tokenizer, list(texts), **options))

    def sounds(self, sounds: Sequence[NDArray[np.float32]]) -> Any:
        """Return sounds as keyword inputs."""
        options: dict[str, Any] = {"sampling_rate": self.rate}
        if self._config.model_type != "whisper":  # Whisper takes 30 seconds, whatever there is
            options["padding"] = True
        return self._with_decoder(self._prepared(self._feature_extractor, list(sounds), **options))

    @property
    def rate(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the sampling rate that the model's feature extractor wants."""
        return getattr(self._feature_extractor, "sampling_rate", None)

    def noise(self, n: int, generator: torch.Generator) -> Any:
        """Return random inputs: tokens of the vocabulary, or normal numbers in the shape of images or sounds."""
        config, name = self._config, getattr(self.model, "main_input_name", "input_ids")
        if name == "input_ids":
            text = config.get_text_config()
            length = min(64, getattr(text, "max_position_embeddings", None) or 64)
            ids = torch.randint(0, text.vocab_size, (n, length), generator=generator)
            return self._with_decoder({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        if name == "pixel_values" and (size := getattr(config, "image_size", None)):
            sides = (size, size) if isinstance(size, int) else tuple(size)
            return torch.randn(n, getattr(config, "num_channels", 3), *sides, generator=generator)
        if name == "input_values":
            return torch.randn(n, 16000, generator=generator)
        if name == "input_features" and (bins := getattr(config, "num_mel_bins", None)):
            frames = 2 * getattr(config, "max_source_positions", 500)
            return self._with_decoder({name: torch.randn(n, bins, frames, generator=generator)})
        return super().noise(n, generator)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = self._loaded(AutoTokenizer.from_pretrained, "tokenizer", "texts")
        if tokenizer.pad_token is None:
            # Which token fills the gaps does not matter: the mask leaves them out.
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        return tokenizer

    @cached_property
    def _image_processor(self) -> Any:
        from transformers import AutoImageProcessor

        return self._loaded(AutoImageProcessor.from_pretrained, "image processor", "images")

    @cached_property
    def _feature_extractor(self) -> Any:
        from transformers import AutoFeatureExtractor

        return self._loaded(AutoFeatureExtractor.from_pretrained, "feature extractor", "sounds")

    def _loaded(self, load: Callable[..., Any], what: str, kind: str) -> Any:
        remedy = "name a folder or hub id that has one, or give a module:loader that makes the batches"
        if not self._source:
            raise ValueError(f"{kind} need the model's {what}, and this model was built without one; {remedy}")
        try:
            with quiet():
                return load(self._source)
        except Exception as error:  # what transformers raises for a missing file has many types
            raise ValueError(
                f"{kind} need the model's {what}, which was not found in {self._source}, {first_line(error)}; {remedy}"
            ) from error

    def _prepared(self, prepare: Any, inputs: list[Any], **options: Any) -> dict[str, Any]:
        """Return what a processor makes of inputs, as far as the model takes it."""
        try:
            with quiet():
                made = prepare(inputs, return_tensors="pt", **options)
        except Exception as error:  # processors check their inputs in any way
            raise ValueError(f"{type(prepare).__name__} could not prepare the inputs, {first_line(error)}") from error
        from inspect import signature

        taken = signature(self.model.forward).parameters
        return {name: value for name, value in made.items() if name in taken}

    def _with_decoder(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Add the decoder's inputs: the text itself, shifted by a token; for others than texts, the first token."""
        if not self._config.is_encoder_decoder:
            return batch
        first = next(iter(batch.values()))
        start = self._config.decoder_start_token_id or 0
        begin = torch.full((len(first), 1), start, dtype=torch.int64)
        ids: Tensor | None = batch.get("input_ids")
        shifted = begin if ids is None else torch.cat([begin, ids[:, :-1]], dim=1)
        return {**batch, "decoder_input_ids": shifted}


def transformers_model(source: str, *, task: str | None) -> tuple[nn.Module, Preprocessing, tuple[str, ...]]:
    """Return a model of transformers from a folder or the hub, its preprocessing, and notes.

    Without a task the class is the one that the weights were saved from. No code beside the weights is run.

    Raises:
        ModuleNotFoundError: if transformers is not installed.
        ValueError: if the task is unknown, or the model can't be loaded.
    """
    import transformers

    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
            maker = _class_of(transformers, config, task)
            model, about = maker.from_pretrained(
                source, trust_remote_code=False, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # what fails in it is the hub's, the network's or the file's
        if isinstance(error, ValueError) and str(error).startswith("--task"):
            raise
        raise ValueError(
            f"transformers could not load {source!r}, {first_line(error)}; check the name and the network, or give a "
            "folder of save_pretrained"
        ) from error
    return model, Transformers(model, source), tuple(_notes(about, maker.__name__, task))


def _class_of(transformers: Any, config: Any, task: str | None) -> Any:
    if task is None:
        named = getattr(transformers, (getattr(config, "architectures", None) or [""])[0], None)
        return named or transformers.AutoModel
    from transformers.pipelines import PIPELINE_REGISTRY

    try:
        _, known, _ = PIPELINE_REGISTRY.check_task(task)
    except KeyError as error:
        tasks = ", ".join(PIPELINE_REGISTRY.get_supported_tasks())
        raise ValueError(f"--task {task} is unknown to transformers; choose from {tasks}") from error
    for maker in known["pt"]:
        if type(config) in maker._model_mapping:
            return maker
    raise ValueError(f"--task {task} is not for models of type {config.model_type}")


def _notes(about: Mapping[str, Any], maker: str, task: str | None) -> list[str]:
    """Return a note on weights that the files lack or hold in vain."""
    notes = []
    for key, what in (
        ("missing_keys", "these weights are not in the files and are random"),
        ("unexpected_keys", "these weights in the files have no place in the model"),
    ):
        names = sorted(map(str, about.get(key) or ()))
        if names:
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            notes.append(f"{what}: {', '.join(names[:4])}{more} ({f'task {task}' if task else maker})")
    return notes
