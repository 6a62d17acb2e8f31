"""Plans make fresh models fit smaller state dicts, and models they were not made for raise."""

import copy
import json

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.shrinking import apply_plan, shrink

X = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


class Heads(nn.Module):
    """Attention that keeps its sizes as a tuple, a list, and numbers."""

    def __init__(self, kind: type = tuple) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 36), nn.Linear(12, 2)
        self.sizes, self.width = kind((3, 3, 4)), 12

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], *self.sizes).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1)
        return self.out(torch.einsum("bhqk,bkhd->bqhd", scores, v).reshape(*x.shape[:2], self.width))


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 2)
    )


def test_a_plan_goes_through_json_and_makes_a_fresh_model_fit():
    found = shrink(mlp(), X, keep=0.5)
    plan = json.loads(json.dumps(found.plan))
    assert plan == found.plan
    fresh = apply_plan(mlp(), plan)
    fresh.load_state_dict(found.model.state_dict())
    assert torch.equal(fresh.eval()(X), found.model.eval()(X))
    assert repr(fresh) == repr(found.model)
    kept = plan["groups"]["0"]
    assert kept["units"] == 16 and kept["kept"] == list(found.cuts["0"].kept) and kept["layers"] == ["0"]
    assert plan["shapes"]["0.weight"] == [len(kept["kept"]), 4] and "0.bias" in plan["shapes"]
    assert plan["counts"]["0.out_features"] == len(kept["kept"])


def test_a_fresh_model_trains():
    found = shrink(mlp(), X, keep=0.5)
    fresh = apply_plan(mlp(), found.plan)
    fresh(X).sum().backward()
    assert all(one.grad is not None and one.grad.shape == one.shape for one in fresh.parameters())


def test_a_plan_for_a_wrapped_model_fits_the_model():
    found = shrink(nn.DataParallel(mlp()), X, keep=0.5)
    assert "0.weight" in found.plan["shapes"]
    assert apply_plan(nn.DataParallel(mlp()), found.plan).module[0].out_features == len(found.cuts["0"].kept)


@pytest.mark.parametrize("plan", [None, {}, [], "plan.json", {"cofire_plan": 99}])
def test_what_is_no_plan_raises(plan):
    with pytest.raises(ValueError, match=r"no plan of version 1 .* pass the contents of plan.json"):
        apply_plan(mlp(), plan)


BROKEN = {
    "another width": lambda plan: plan["shapes"].update({"0.weight": [17, 4]}),
    "no width": lambda plan: plan["shapes"].update({"0.weight": [0, 4]}),
    "an axis more": lambda plan: plan["shapes"].update({"0.weight": [3, 4, 1]}),
    "no number": lambda plan: plan["shapes"].update({"0.weight": [3.0, 4]}),
    "an unknown name": lambda plan: plan["shapes"].update({"9.weight": [3, 4]}),
    "an unknown module": lambda plan: plan["counts"].update({"9.out_features": 3}),
    "an unknown count": lambda plan: plan["counts"].update({"0.width": 3}),
    "a count that grows": lambda plan: plan["counts"].update({"0.out_features": 17}),
    "a count that is code": lambda plan: plan["counts"].update({"0.forward": 3}),
    "a count that is text": lambda plan: plan["counts"].update({"0.out_features": "3"}),
    "a list for a count": lambda plan: plan["counts"].update({"0.out_features": [3]}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plan_for_another_model_raises_and_leaves_the_model(name):
    plan = copy.deepcopy(shrink(mlp(), X, keep=0.5).plan)
    BROKEN[name](plan)
    model = mlp()
    before = repr(model), {name: one.clone() for name, one in model.state_dict().items()}
    with pytest.raises(ValueError, match="the plan is for another model"):
        apply_plan(model, plan)
    assert repr(model) == before[0]
    assert all(torch.equal(one, before[1][name]) for name, one in model.state_dict().items())


@pytest.mark.parametrize("kind", [tuple, list, torch.Size])
def test_entries_of_tuples_and_lists_keep_their_type(kind):
    x = torch.randn(60, 5, 4)
    found = shrink(Heads(kind), x, keep={"qkv[1]": 2})
    fresh = apply_plan(Heads(kind), json.loads(json.dumps(found.plan)))
    fresh.load_state_dict(found.model.state_dict())
    assert type(fresh.sizes) is type(found.model.sizes) is kind
    assert list(fresh.sizes) == list(found.model.sizes) == [3, 2, 4] and fresh.width == 8
    assert torch.equal(fresh(x), found.model(x))


@pytest.mark.parametrize(
    "damage",
    [
        {"shapes": None},
        {"counts": [1]},
        {"shapes": {"0.weight": 7}},
        {"shapes": {"0.weight": [7.0, 4]}},
        {"shapes": {"0.weight": [7]}},
        {"shapes": {"0.weight": [0, 4]}},
        {"counts": {"0.out_features": "7"}},
        {"counts": {"0.forward": 7}},
    ],
)
def test_a_damaged_plan_is_a_value_error_and_leaves_the_model_alone(damage):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    plan = {"cofire_plan": 1, "groups": {}, "shapes": {}, "counts": {}} | damage
    with pytest.raises(ValueError, match="plan"):
        apply_plan(model, plan)
    assert model[0].weight.shape == (16, 4) and model[0].out_features == 16
