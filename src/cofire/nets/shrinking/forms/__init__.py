"""Forms in which a smaller network is written: folders of transformers, programs of torch.export and ONNX."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
