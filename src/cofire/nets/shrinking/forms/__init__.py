"""Forms in which a smaller network is written: folders of transformers, programs of torch.export and ONNX."""
