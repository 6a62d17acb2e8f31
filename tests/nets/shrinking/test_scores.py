"""Accuracy as a score: the share of right labels, or a clear error."""

import pytest
import torch
from torch import nn

from cofire.nets.shrinking import accuracy, shrink


class WithLogits(nn.Module):
    """A model that returns its logits in a dict, beside a loss."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": x.mean(), "logits": x}


def test_it_counts_right_labels_over_batches_of_different_lengths():
    x = torch.randn(100, 5)
    labels = torch.randint(0, 5, (100,))
    batches = list(zip(x.split([70, 30]), labels.split([70, 30]), strict=True))
    right = float((x.argmax(1) == labels).double().mean())
    assert accuracy(nn.Identity(), batches) == pytest.approx(right)
    assert accuracy(WithLogits(), batches) == pytest.approx(right)


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([torch.randn(5, 3)], "got inputs alone"),
        ([(torch.randn(5, 3), torch.randn(5))], r"got labels of shape \(5,\), float32"),
        ([(torch.randn(5, 3), torch.zeros(5, 3, dtype=torch.long))], r"got labels of shape \(5, 3\), int64"),
        ([(torch.randn(5, 3),)], "got a tuple without labels"),
        ([(torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 0]))], "a label is 3, but the model tells 3 classes apart"),
        ([(torch.randn(5, 2, 3), torch.arange(5))], r"the model puts out \(5, 2, 3\)"),
        ([], "got no batch"),
    ],
)
def test_what_has_no_class_labels_is_an_error(batches, said):
    with pytest.raises(ValueError, match=said):
        accuracy(nn.Identity(), batches)


def test_shrink_takes_it():
    torch.manual_seed(0)
    x = torch.randn(600, 6)
    labels = (x[:, :1] > 0).long()[:, 0]
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2))
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(50):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    data = [(x, labels)]
    found = shrink(net, data, keep=0.5, score=accuracy)
    assert found.score is not None and found.score[0] > 0.9
    held = [(x[::3], labels[::3])]  # every third sample is held out
    assert found.score == pytest.approx((accuracy(net, held), accuracy(found.model, held)))
