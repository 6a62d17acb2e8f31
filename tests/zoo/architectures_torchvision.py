"""All classification models of torchvision, a detector and two segmenters."""

import torch
from architectures import Architecture, images

LARGE = {
    "convnext_large", "efficientnet_v2_l", "regnet_x_32gf", "regnet_y_32gf", "regnet_y_128gf", "vgg11", "vgg11_bn",
    "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vit_h_14", "vit_l_16", "vit_l_32",
    "wide_resnet101_2",
}  # fmt: skip
SIZES = {"inception_v3": 299, "maxvit_t": 224, "vit_h_14": 56}


def architectures():
    from torchvision import models

    return [_classifier(models, name) for name in models.list_models(module=models)] + [
        Architecture("torchvision", name, build, example)
        for name, build, example in [
            (
                "retinanet_resnet50_fpn",
                lambda: models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None, min_size=64),
                lambda: (
                    [torch.rand(3, 64, 64)],
                    [{"boxes": torch.tensor([[2.0, 2, 30, 40]]), "labels": torch.tensor([1])}],
                ),
            ),
            ("fcn_resnet50", lambda: models.segmentation.fcn_resnet50(weights=None, weights_backbone=None), images(64)),
            (
                "lraspp_mobilenet_v3_large",
                lambda: models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
                images(64),
            ),
        ]
    ]


def _classifier(models, name):
    size = SIZES.get(name, 64)
    extra = {"image_size": size} if name.startswith("vit") else {}
    extra |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return Architecture(
        "torchvision", name, lambda: models.get_model(name, weights=None, **extra), images(size), large=name in LARGE
    )
