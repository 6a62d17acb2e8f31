"""What is captured was made by the model in that very pass, whichever way the pass goes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cofire
from cofire.nets import CorrelationPenalty, correlation_penalty
from cofire.nets.redundancy import redundancy_report
from cofire.record import Tracker, correlation
from cofire.stats.correlation.summary import neuronal_correlation


class Net(nn.Module):
    """Notes the activation of ``layer``, which the reader of this test trusts: it is written in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head, self.drop, self.relu = nn.Linear(4, 6), nn.Linear(6, 2), nn.Dropout(0.4), nn.ReLU()
        self.act, self.beta, self.flag = "relu", 1.0, False

    def forward(self, x: Tensor, act=torch.relu) -> Tensor:
        self.made = self.activation(self.layer(x), x, act)
        return self.head(self.made)


def by_flag(first, second):
    return lambda m, h, x, act: (second if m.flag else first)(m, h)


ACTIVATIONS = {
    "by data": lambda m, h, x, act: (torch.relu if x.mean() > 0 else torch.tanh)(h),
    "by attribute": lambda m, h, x, act: getattr(torch, m.act)(h),
    "by argument": lambda m, h, x, act: act(h),
    "annealed": lambda m, h, x, act: torch.sigmoid(m.beta * h),
    "functional dropout": lambda m, h, x, act: F.relu(F.dropout(h, 0.4, True)),
    "dropout by flag": by_flag(lambda m, h: F.relu(h), lambda m, h: F.relu(F.dropout(h, 0.4, True))),
    "random slopes": lambda m, h, x, act: F.rrelu(h, 0.1, 0.9, training=True),
    "module or function": by_flag(lambda m, h: m.relu(h), lambda m, h: torch.tanh(h)),
    "function or module": by_flag(lambda m, h: torch.tanh(h), lambda m, h: m.relu(h)),
    "behind a module": by_flag(lambda m, h: m.relu(m.drop(h)), lambda m, h: torch.tanh(m.drop(h))),
    "one more step": by_flag(lambda m, h: torch.relu(h), lambda m, h: torch.relu(h * 2)),
    "none or one": by_flag(lambda m, h: h, lambda m, h: torch.relu(h)),
    "one or none": by_flag(lambda m, h: torch.relu(h), lambda m, h: h),
    "none or a module": by_flag(lambda m, h: h * 1, lambda m, h: m.relu(h)),
    "changed later": lambda m, h, x, act: (lambda made: (made.clone(), made.add_(1))[0])(act(h) * 1),
    "in place or not": by_flag(lambda m, h: torch.relu(h), lambda m, h: torch.relu_(h)),
    "several operations": by_flag(lambda m, h: h * torch.sigmoid(h), lambda m, h: h * torch.tanh(F.softplus(h))),
}  # fmt: skip


@pytest.fixture(params=ACTIVATIONS)
def model(request) -> Net:
    made = Net()
    made.activation = ACTIVATIONS[request.param].__get__(made)
    return made


def passes(model: Net):
    """Run the model several times, each as the one before or otherwise; yields what was made each time."""
    for k, change in enumerate((0, 1, 1, 0, 2, 1)):
        model.act, model.beta = ("relu", "tanh", "sigmoid")[change], 1.0 + change
        model.flag = bool(change)
        x = torch.randn(7 + k, 4).abs() * (1 if change == 0 else -1)
        model(x, (torch.relu, torch.tanh, torch.sigmoid)[change])
        yield model.made


def test_capture(model):
    with cofire.capture(model, "layer") as acts:
        made = [one.detach().clone() for one in passes(model)]
    assert torch.equal(acts["layer"], torch.cat(made)) and not acts.left_out.get("layer")


def test_each_capture_of_its_own(model):
    running = passes(model)
    for _ in range(6):
        with cofire.capture(model, "layer") as acts:
            made = next(running)
        assert torch.equal(acts["layer"], made.detach())


def test_penalty(model):
    with CorrelationPenalty(model, "layer") as penalty:
        for made in passes(model):
            value, wanted = penalty(), correlation_penalty(made)
            assert torch.equal(value, wanted)
            if made.requires_grad:
                found = torch.autograd.grad(value, model.layer.weight, retain_graph=True)
                assert torch.equal(found[0], torch.autograd.grad(wanted, model.layer.weight)[0])
            assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()


def test_tracker(model):
    rows, made = [], []
    measure = correlation()
    with Tracker(model, measures=[measure], every=1, sink=rows.extend) as tracker:
        for one in passes(model):
            made.append(one.detach().clone())
            tracker.step()
    found = {row.step: row.value for row in rows if (row.site, row.measure) == ("layer", "nc")}
    assert list(found.values()) == [pytest.approx(neuronal_correlation(one).mean_abs, nan_ok=True) for one in made]


def test_report(model):
    model.eval()
    made = []
    model.head.register_forward_pre_hook(lambda _, args: made.append(args[0].detach().clone()))
    report = redundancy_report(model, [torch.rand(50, 4), -torch.rand(50, 4), torch.rand(50, 4)], "layer")
    wanted = neuronal_correlation(torch.cat(made[-3:]))
    assert report.layers[0].activations.correlation.mean_abs == pytest.approx(wanted.mean_abs, rel=1e-5)
