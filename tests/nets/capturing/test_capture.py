import gc
import weakref
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import cofire
from cofire.nets import Capture, Site
from cofire.stats import Moments


def test_rows_are_the_samples_and_columns_the_units(case):
    model, x = nn.Sequential(case.make()), case.x()
    with torch.no_grad():
        model(x)  # lazy layers get their weights
        with cofire.capture(model, "0", stage="pre") as acts:
            model(x)
        assert torch.equal(acts["0"], case.expected(model[0], x))


def test_attention_gives_its_output_and_leaves_out_the_projection_it_never_calls():
    attention, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(3, 5, 8)
    with cofire.capture(attention) as acts:
        expected = attention(x, x, x)[0]
    assert torch.equal(acts[""], expected.reshape(15, 8))
    assert "without calling it, in the model" in acts.left_out["out_proj"]


def test_batches_are_concatenated_and_readable_inside_the_block(net):
    x = torch.randn(9, 8)
    net.eval()
    with cofire.capture(net, "fc3") as acts:
        net(x[:4])
        assert acts["fc3"].shape == (4, 3)
        net(x[4:])
    assert torch.allclose(acts["fc3"], net(x))
    assert not acts["fc3"].requires_grad


def test_pre_and_post(net):
    x = torch.randn(5, 8)
    net.eval()
    with torch.no_grad(), cofire.capture(net, ["fc1", "fc1:pre", "bn", "fc2", "fc2:pre", "act:pre", "act"]) as acts:
        net(x)
    u1 = net.fc1(x)
    t1 = torch.tanh(net.bn(u1))
    u2 = net.fc2(t1)
    expected = {"fc1:pre": u1, "fc1": t1, "bn": t1, "fc2:pre": u2, "fc2": u2.relu(), "act:pre": u2, "act": u2.relu()}
    assert set(acts) == set(expected)
    for name, value in expected.items():
        assert torch.equal(acts[name], value), name


def test_names_with_one_stage_are_plain(net):
    with cofire.capture(net, "fc*", stage="pre") as acts:
        net(torch.randn(5, 8))
    assert list(acts) == ["fc1", "fc2", "fc3"]
    assert "fc1:pre" in acts
    assert torch.equal(acts["fc1:pre"], acts["fc1"])
    assert torch.equal(acts[Site("fc1", "pre")], acts["fc1"])


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(torch.relu(self.fc(x))))


def test_a_module_called_twice():
    model, x = Twice(), torch.randn(5, 4)
    with torch.no_grad(), cofire.capture(model, per_call=True) as acts, cofire.capture(model) as pooled:
        model(x)
        model(x)
    first = torch.relu(model.fc(x))
    assert list(pooled) == ["fc"]
    assert torch.equal(pooled["fc"], torch.cat([first, torch.tanh(model.fc(first))]).repeat(2, 1))
    assert list(acts) == ["fc#0", "fc#1"]
    assert torch.equal(acts["fc#0"], first.repeat(2, 1))
    assert torch.equal(acts["fc#1"], torch.tanh(model.fc(first)).repeat(2, 1))
    with pytest.raises(KeyError, match=r"ran 2 times.*fc#0, fc#1"):
        acts["fc"]


def test_one_call_alone():
    model = Twice()
    with cofire.capture(model, Site("fc", "pre", call=1)) as acts:
        model(torch.randn(5, 4))
    assert list(acts) == ["fc#1"]
    with pytest.raises(RuntimeError, match="fc#2"), cofire.capture(model, Site("fc", call=2)):
        model(torch.randn(5, 4))


def test_unknown_name_suggests_near_ones(net):
    with cofire.capture(net) as acts:
        net(torch.randn(5, 8))
    with pytest.raises(KeyError, match="fc1"):
        acts["fc11"]
    with pytest.raises(KeyError, match="left out: makes no units"):
        acts["drop"]


@dataclass
class Output:
    ids: Tensor
    hidden: Tensor


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (x, None),
        lambda x: {"n": torch.tensor(3), "x": x},
        lambda x: Output(torch.arange(3), x),
        lambda x: [[x]],
    ],
    ids=["tuple", "dict", "dataclass", "list"],
)
def test_the_first_floating_tensor_of_an_output_counts(wrap):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> object:
            return wrap(self.fc(x))

    model, x = nn.Sequential(Block()), torch.randn(5, 4)
    with cofire.capture(model, "0") as acts:
        model(x)
    assert torch.equal(acts["0"], model[0].fc(x).detach())


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_outputs_that_are_not_real_are_left_out_with_the_reason(dtype):
    class Cast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to(dtype)

    model = nn.Sequential(nn.Linear(4, 3), Cast())
    with cofire.capture(model, ["0", "1"]) as acts:
        model(torch.randn(2, 4))
    assert str(dtype) in acts.left_out["1"]


def test_packed_sequences():
    lstm, x = nn.LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4)
    packed = pack_padded_sequence(x, torch.tensor([5, 2]), batch_first=True)
    with cofire.capture(lstm) as acts:
        output, _ = lstm(packed)
    assert torch.equal(acts[""], output.data.detach())
    assert len(acts[""]) == 7


def test_a_container_asked_for_by_name():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Flatten(), nn.Linear(16, 2))
    x = torch.randn(3, 1, 4, 4)
    with cofire.capture(model, "0") as acts:
        model(x)
    assert torch.equal(acts["0"], model[0](x).movedim(1, -1).reshape(-1, 4).detach())


def test_unit_axis_of_ones_own():
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x).transpose(1, 2)

    model = nn.Sequential(Transposed())
    with cofire.capture(model, Site("0", unit_axis=1)) as acts:
        y = model(torch.randn(5, 6, 4))
    assert torch.equal(acts["0"], y.detach().transpose(1, 2).reshape(30, 3))


def test_pool_positions():
    model, x = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 3)), torch.randn(5, 2, 4, 4)
    with cofire.capture(model, stage="pre", pool_positions=True) as acts:
        model(x)
    assert torch.allclose(acts["0"], model[0](x).mean((2, 3)).detach())
    assert acts["2"].shape == (5, 3)
    with pytest.raises(ValueError, match="not both"):
        Capture(model, mask="input", pool_positions=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_kept(dtype):
    model = nn.Linear(4, 3).to(dtype)
    with cofire.capture(model) as acts:
        model(torch.randn(5, 4, dtype=dtype))
    assert acts[""].dtype == dtype


def test_into_updates_states_batch_by_batch(net):
    net.eval()
    batches = torch.randn(3, 20, 8)
    with cofire.capture(net, "fc*", into=Moments) as moments:
        for x in batches:
            net(x)
    with cofire.capture(net, "fc*") as acts:
        net(batches.flatten(0, 1))
    for name, moment in moments.items():
        assert moment.count == 60
        assert torch.allclose(moment.covariance(), torch.cov(acts[name].double().T), atol=1e-6), name


def test_into_takes_states_that_change_in_place(net):
    class Seen(list[int]):
        def update(self, rows: Tensor) -> None:
            self.append(len(rows))

    with cofire.capture(net, "fc1", into=Seen) as seen:
        net(torch.randn(5, 8))
        net(torch.randn(3, 8))
    assert seen["fc1"] == [5, 3]


def test_memory_is_flat_over_a_thousand_batches():
    kept: list[weakref.ref[Tensor]] = []

    class Sum:
        def update(self, rows: Tensor) -> None:
            kept.append(weakref.ref(rows))

    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(5, 4)
    with cofire.capture(model, into=Sum):
        for _ in range(1000):
            model(x)
    gc.collect()
    assert len(kept) == 1000
    assert not [one for one in kept if one() is not None]


def test_empty_batches_change_nothing(net):
    net.eval()
    x = torch.randn(4, 8)
    with cofire.capture(net, "fc3") as acts, cofire.capture(net, "fc3", into=Moments) as moments:
        net(x[:0])
        assert acts["fc3"].shape == (0, 3)
        net(x)
        net(x[:0])
    assert torch.equal(acts["fc3"], net(x).detach())
    assert moments["fc3"].count == 4


def test_a_site_that_never_fires_is_an_error_with_its_name(net, n_hooks):
    net.spare = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match=r"never ran while captured: spare\."), cofire.capture(net, ["fc*", "spare"]):
        net(torch.randn(5, 8))
    assert n_hooks(net) == 0
    with cofire.capture(net) as acts:
        net(torch.randn(5, 8))
    assert "fc1" in acts and acts.left_out["spare"] == "never ran"


def test_a_tied_weight_never_fires():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.head = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.fc(x), self.head.weight)

    with pytest.raises(RuntimeError, match=r"head.*tied"), cofire.capture(model := Tied(), "head"):
        model(torch.randn(2, 4))


def test_shared_modules_have_one_name_and_answer_to_both():
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": shared})
    wrapper = nn.Sequential(shared, nn.ReLU(), shared)
    with cofire.capture(wrapper, "2", per_call=True) as acts:
        wrapper(torch.randn(3, 4))
    assert list(acts) == ["0#0", "0#1"]
    assert torch.equal(acts["2#1"], acts["0#1"])
    assert cofire.nets.sites(model, "b")[0].layer == "a"


def test_a_part_of_the_model_and_two_captures_at_once(net):
    model = nn.Sequential(net, nn.Linear(3, 2))
    model.eval()
    x = torch.randn(5, 8)
    with cofire.capture(model) as outer, cofire.capture(net) as inner:
        model(x)
        net(x)
    assert len(outer["0.fc1"]) == 10  # a call of the part alone is a batch as well
    assert torch.equal(inner["fc1"], outer["0.fc1"])
    assert len(outer["1"]) == 5


def test_model_forward_called_directly(net):
    net.eval()
    x = torch.randn(5, 8)
    with cofire.capture(net) as acts:
        net.forward(x)
        net.forward(x)
    assert torch.equal(acts["fc1"], torch.tanh(net.bn(net.fc1(x))).repeat(2, 1).detach())
    assert list(acts) == ["fc1", "fc2", "fc3"]


def test_switching_on_and_off(net, n_hooks):
    recording = Capture(net, ["fc1", "fc1:pre"])
    for step in range(6):
        if step % 3 == 0:
            recording.attach()
            assert n_hooks(net) > 0
        net(torch.randn(5, 8))
        recording.detach()
        assert n_hooks(net) == 0
    taken = recording.take()
    assert {str(site): len(x) for site, x in taken.items()} == {"fc1": 10, "fc1:pre": 10}
    assert recording.take() == {}
    recording.check()
    recording.attach()
    with pytest.raises(RuntimeError, match="attached already"):
        recording.attach()
    recording.detach()
    recording.detach()


def test_switching_off_in_any_order(net):
    first, second = Capture(net, "fc1"), Capture(net, "fc1")
    first.attach()
    second.attach()
    net(torch.randn(5, 8))
    first.detach()
    net(torch.randn(5, 8))
    second.detach()
    assert len(first.activations["fc1"]) == 5
    assert len(second.activations["fc1"]) == 10
    assert torch._C._len_torch_function_stack() == 0


def test_what_is_kept_does_not_keep_the_model():
    model = nn.Linear(4, 3)
    with cofire.capture(model) as acts:
        model(torch.randn(5, 4))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert acts[""].shape == (5, 3)


def test_a_changed_number_of_units_is_left_out_with_the_reason():
    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    model = nn.Sequential(Wide())
    with cofire.capture(model, Site("0", unit_axis=-1)) as acts:
        model(torch.randn(2, 4))
        model(torch.randn(2, 5))
    assert acts["0"].shape == (2, 4) and "4 units before and has 5" in acts.left_out["0"]


def test_when_is_asked_as_a_layer_runs_also_outside_of_a_call_of_the_model():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2)))
    watch = Capture(model, "0.0", when=lambda: model.training)
    watch.attach()
    for training, n_samples in [(True, 5), (False, 7), (True, 11), (False, 13)]:
        model.train(training)
        model[0](torch.ones(n_samples, 3))
    model.train()
    watch.detach()
    assert [len(x) for x in watch.take().values()] == [16]


def test_a_capture_says_what_it_captures() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    recording = Capture(model, nn.Linear, stage="pre")
    assert repr(recording) == "Capture(no pass seen yet; detached)"
    recording.attach()
    model(torch.ones(2, 8))
    assert repr(recording) == "Capture(0:pre, 2:pre; attached)"
    recording.detach()


def test_what_vmap_runs_is_left_out_with_the_reason():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.randn(6, 3)
    with pytest.raises(ValueError, match="call the model on a batch"), cofire.capture(model, "0") as activations:
        torch.func.vmap(model)(x)
    with pytest.raises(KeyError, match=r"torch\.func\.vmap computes at once; call the model on a batch"):
        _ = activations["0"]


def test_other_transforms_of_functions_show_the_batch():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.randn(6, 3)
    parameters = dict(model.named_parameters())
    with cofire.capture(model, "0") as activations:
        torch.func.grad(lambda given: torch.func.functional_call(model, given, (x,)).sum())(parameters)
        torch.func.jacrev(model)(x)
    assert torch.equal(activations["0"], model(x).detach().repeat(2, 1))
