"""The networks that are shrunk, and how they learn."""

import pytest
import torch

from cofire.papers.framework.tasks import Task
from cofire.papers.ours.shrink_networks import IMAGE_NETWORKS, TEXT_NETWORKS, network
from cofire.papers.ours.shrink_scores import SHRINK
from cofire.papers.ours.shrink_training import SHIFT, labelled, learn_images, moved, trained
from cofire.papers.training.datasets import load
from cofire.papers.training.loop import Settings, scored


@pytest.mark.parametrize("name", [*IMAGE_NETWORKS, *TEXT_NETWORKS])
def test_a_network_is_that_of_its_seed(name):
    state = torch.get_rng_state()
    one, same, other = (next(network(name, seed, n_symbols=9).parameters()) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_gpt_does_not_look_ahead():
    net, symbols = network("tiny gpt", 0, n_symbols=9).eval(), torch.arange(8)[None]
    changed = symbols.clone()
    changed[0, 5] = 0
    assert torch.allclose(net(symbols)[:, :5], net(changed)[:, :5], atol=1e-6)
    assert not torch.allclose(net(symbols)[:, 5:], net(changed)[:, 5:], atol=1e-3)


def test_images_are_moved_and_mirrored():
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(200, 1, 16, 16)
    image[:, :, 7, 5], image[:, :, 7, 6] = 1.0, 2.0
    found = moved(image, generator)
    assert found.shape == image.shape and torch.equal(found.sum((1, 2, 3)), torch.full((200,), 3.0))
    rows, columns = (found[:, 0] == 1).nonzero()[:, 1:].unbind(1)
    assert rows.min() == 7 - SHIFT and rows.max() == 7 + SHIFT
    after = found[torch.arange(200), 0, rows, (columns + 1).clamp_max(15)] == 2
    assert 60 < after.sum() < 140  # the others are mirrored


@pytest.mark.parametrize("augmented", [False, True])
def test_training_is_that_of_its_seed_and_learns(augmented):
    data = load("digits").first(500, 200).standardized()
    found = []
    for seed in (0, 0, 1):
        net = network("tiny resnet", 0)
        settings = Settings(6, 50, "sgd", 0.1, 0.9, seed=seed)
        learn_images(net, data, settings, augmented=augmented)
        found.append(net)
    one, same, other = (net.conv.weight for net in found)
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert scored(found[0], data.test_x, data.test_y)[1] > (
        0.15 if augmented else 0.6
    )  # digits that are mirrored and half out of the picture


@pytest.mark.parametrize("point", SHRINK.grid["smoke"], ids=lambda point: point["network"])
def test_calibration_data_come_with_what_is_wanted(point):
    found = trained(Task.of("ours.shrink", 1, point, [0]), 0)
    batches = labelled(found, 32)
    assert sum(len(inputs) for inputs, _ in batches) == point["n_calibration"]
    if found.calibration.ndim == 2:  # the next characters
        assert torch.equal(found.calibration[:, 1:], found.wanted[:, :-1])
    assert not found.model.training and found.score(found.model) == found.score(found.model)
