"""`wire` on small models of every kind: units, axes, groups; and nothing of the model or the process changes."""

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import cofire
from cofire.nets.wiring.dimensions import kept, leaves
from cofire.nets.wiring.wiring import wire


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def first(output):
    return (output[0] if isinstance(output, tuple) else output).detach()


class Scale(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.w = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return x * self.w


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.a, self.b = nn.Linear(n, 2 * n), nn.Linear(2 * n, n)

    def forward(self, x):
        return x + self.b(F.gelu(self.a(x)))


class Dense(nn.Module):
    """A layer of one's own that stores its weight as (in, out)."""

    def __init__(self, n, m):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(n, m)), nn.Parameter(torch.randn(m))

    def forward(self, x):
        return x @ self.w + self.b


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(5, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            h, c = self.cell(step, (h, c))
        return self.head(h)


class Heads(nn.Module):
    def __init__(self, n=12, heads=3):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(n, n) for _ in range(4))
        self.heads = heads

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(-2))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(6, 16), nn.Linear(8, 6)

    def forward(self, x):
        a, b = self.up(x).chunk(2, -1)
        return self.down(a * F.silu(b))


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.head(x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))).amax((2, 3))


class Catting(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(10, 5, 1)

    def forward(self, x):
        return self.c(torch.cat([self.a(x), self.b(x)], 1)).flatten(2).mean(-1)


torch.manual_seed(0)  # of the cases below: a unit that is always off would hide a change
IMAGE, ROWS, TEXT = torch.randn(2, 3, 12, 12), torch.randn(4, 6), torch.randn(2, 7, 12)
CASES = {
    "perceptron": (nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3)), ROWS, {"0": (10, 1), "2": (3, 1)}),
    "own pooling": (nn.Sequential(nn.Conv2d(3, 8, 4), Lambda(lambda x: x.mean((2, 3)))), IMAGE, {"0": (8, 1)}),
    "own view": (
        nn.Sequential(nn.Conv2d(3, 8, 4), Lambda(lambda x: x.view(len(x), -1)), nn.Linear(8 * 81, 4)),
        IMAGE,
        {"0": (8, 1), "2": (4, 1)},
    ),
    "own swish and scale": (
        nn.Sequential(nn.Conv2d(3, 8, 3), Lambda(lambda x: x * torch.sigmoid(x)), Scale((8, 1, 1)), nn.Conv2d(8, 4, 1)),
        IMAGE,
        {"0": (8, 1), "3": (4, 1)},
    ),
    "own norm": (
        nn.Sequential(nn.Conv2d(3, 8, 3), LayerNorm2d(8), nn.Conv2d(8, 4, 1)),
        IMAGE,
        {"0": (8, 1), "2": (4, 1)},
    ),
    "depthwise": (
        nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)),
        IMAGE,
        {"0": (8, 1), "3": (4, 1)},
    ),
    "grouped": (nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 1, groups=4)), IMAGE, {"0": (8, 1), "1": (12, 1)}),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(3, 8, 2), nn.Conv2d(8, 4, 1)), IMAGE, {"0": (8, 1), "1": (4, 1)}),
    "residual": (
        nn.Sequential(nn.Linear(6, 8), Residual(8), nn.Linear(8, 2)),
        ROWS,
        {"0": (8, 1), "1.a": (16, 1), "1.b": (8, 1), "2": (2, 1)},
    ),
    "own dense": (nn.Sequential(Dense(6, 9), nn.Tanh(), Dense(9, 3)), ROWS, {"0": (9, 1), "2": (3, 1)}),
    "heads": (Heads(), TEXT, {"q": (12, 2), "k": (12, 2), "v": (12, 2), "o": (12, 2)}),
    "gated": (Gated(), ROWS, {"up": (16, 1), "down": (6, 1)}),
    "squeeze": (Squeeze(), IMAGE, {"conv": (8, 1), "down": (2, 1), "up": (8, 1), "head": (5, 1)}),
    "cat": (Catting(), IMAGE, {"a": (4, 1), "b": (6, 1), "c": (5, 1)}),
    "attention": (
        nn.TransformerEncoderLayer(12, 3, 20, batch_first=True, norm_first=True),
        TEXT,
        {"linear1": (20, 2), "linear2": (12, 2)},
    ),
    "spectral norm": (
        nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 3)),
        ROWS,
        {"2": (3, 1)},
    ),
    "weight norm": (
        nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 3)),
        ROWS,
        {"2": (3, 1)},
    ),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request):
    model, example, expected = CASES[request.param]
    return copy.deepcopy(model).eval(), example, expected


def test_every_layer_has_its_units_on_the_right_axis(case):
    model, example, expected = case
    found = {layer.name: (layer.units, layer.unit_axis) for layer in wire(model, example).layers}
    assert {name: found.get(name) for name in expected} == expected


def test_permuting_the_units_of_free_groups_changes_nothing(case):
    model, example, _ = case
    model, example = model.double(), example.double()
    wiring = wire(model, example)
    free = [group for group in wiring.groups if not group.fixed]
    orders = {group.leaf: torch.randperm(group.size) for group in free}
    before = model(example)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            for axis, dimension in enumerate(wiring.dimensions[name]):
                tensor.copy_(tensor.index_select(axis, kept(dimension, orders)))
    torch.testing.assert_close(model(example), before)


def test_changing_one_units_weights_changes_its_slice_of_the_output_alone(case):
    model, example, _ = case
    outputs = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _a, out, name=name: outputs.update({name: first(out).clone()}))
    model(example)
    before = dict(outputs)
    for layer in wire(model, example).layers:
        if layer.unit_axis is None or layer.weight_axis is None or layer.name not in before:
            continue
        if layer.parameter.endswith(".original"):
            continue  # spectral norm divides all units' weights by a number that depends on all of them
        weight = dict(model.named_parameters())[layer.parameter]
        unit = layer.units // 2
        saved = weight.detach().clone()
        with torch.no_grad():
            weight.select(layer.weight_axis, unit).add_(1.5)
        model(example)
        with torch.no_grad():
            weight.copy_(saved)
        changed = (outputs[layer.name] != before[layer.name]).movedim(layer.unit_axis, 0).flatten(1).any(1)
        assert changed.nonzero().flatten().tolist() == [unit], layer.name


def test_groups_of_heads():
    groups = {group.makers: group for group in wire(Heads(), TEXT).groups}
    heads = groups["q.weight", "k.weight", "v.weight"]
    assert (heads.size, heads.readers, heads.fixed) == (3, ("o.weight",), "")
    inner = groups["q.weight", "k.weight"]
    assert inner.size == 4 and inner.marks == {"coupled by bmm"}
    assert groups["v.weight",].readers == ("o.weight",)
    assert groups["o.weight",].fixed == "the model's output"


def test_a_squeeze_belongs_to_the_channels_that_it_scales():
    wiring = wire(Squeeze(), IMAGE)
    (channels,) = {group for group in wiring.groups if "conv.weight" in group.makers}
    assert channels.makers == ("conv.weight", "up.weight") and channels.readers == ("down.weight", "head.weight")


def test_parts_of_a_cat_stay_apart():
    makers = [group.makers for group in wire(Catting(), IMAGE).groups]
    assert ("a.weight",) in makers and ("b.weight",) in makers


def test_a_layer_that_runs_in_a_loop_is_one_layer():
    wiring = wire(Loop(), torch.randn(3, 6, 5))
    cell = [layer for layer in wiring.layers if layer.parameter.startswith("cell.")]
    assert [(layer.units, layer.calls) for layer in cell] == [(8, 6), (8, 6)]
    (hidden,) = {group for layer in cell for group in layer.group}
    assert hidden.readers == ("cell.weight_hh", "head.weight")


def test_lstm_shows_its_levels_and_directions():
    wiring = wire(nn.LSTM(5, 8, num_layers=2, bidirectional=True), torch.randn(6, 2, 5))
    assert [layer.units for layer in wiring.layers] == [8] * 8


def test_tied_weights_are_one():
    model = nn.Sequential(nn.Embedding(20, 6), nn.Linear(6, 20, bias=False))
    model[1].weight = model[0].weight
    wiring = wire(model, torch.randint(0, 20, (2, 3)))
    assert {layer.name: layer.units for layer in wiring.layers} == {"0": 6, "1": 20}
    assert [layer.is_output for layer in wiring.layers][1]


def test_nothing_changes(case):
    model, example, _ = case
    model.train()
    called = []
    model.register_forward_hook(lambda *_: called.append(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fast = torch.backends.mha.get_fastpath_enabled()
    wire(model, example)
    assert torch.equal(torch.rand(2), expected) and not called and model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert not torch._C._len_torch_dispatch_stack()


def test_no_fake_tensor_outlives_the_run():
    @functools.lru_cache
    def cached(n):
        return torch.ones(n)

    kept_by = {}

    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, x):
            kept_by.setdefault("mask", torch.zeros(4))
            return self.fc(x) * cached(4) + kept_by["mask"]

    model = Leaky()
    wire(model, ROWS)
    assert not kept_by and cached.cache_info().currsize == 0
    assert type(model(ROWS)) is torch.Tensor


class Borrowing(nn.Module):
    """Runs its layer by way of a function that was made outside."""

    def __init__(self, layer, call):
        super().__init__()
        self.inner = layer
        self.call = call

    def forward(self, x):
        return (self.call["it"] if isinstance(self.call, dict) else self.call)(x)


def wrapped_by_method(layer):
    method = layer.forward
    return lambda x: method(x)


def wrapped_twice(layer):
    first = wrapped_by_method(layer)
    return functools.wraps(first)(lambda x, *, scale=1.0: first(x) * scale)


def in_a_list(layer):
    held = [layer]
    return lambda x: held[0](x)


@pytest.mark.parametrize(
    "reach",
    [
        lambda layer: lambda x: layer(x),
        lambda layer: {"it": lambda x: layer(x)},
        lambda layer: functools.partial(lambda call, x: call(x), lambda x: layer(x)),
        in_a_list,
        wrapped_by_method,
        wrapped_twice,
    ],
)
def test_a_closure_over_the_original_is_followed_on_the_copy(reach):
    inner = nn.Linear(6, 4)
    model, seen = Borrowing(inner, reach(inner)), []
    inner.register_forward_hook(lambda _module, _args, output: seen.append(output))
    (layer,) = wire(model, ROWS).layers
    assert layer.parameter == "inner.weight" and layer.units == 4 and not layer.assumed
    assert not seen
    model(ROWS)
    assert len(seen) == (reach not in (wrapped_by_method, wrapped_twice))


def test_a_wrapped_forward_may_be_taken_off_again():
    """As Lightning redirects ``forward`` to ``training_step``, inside the wrapper of several processes."""
    model, kept = nn.Sequential(nn.Linear(6, 4), nn.ReLU()), []
    before = model.forward

    def once(x):
        model.forward = before
        kept.append(type(x))
        return before(x)

    model.forward = once
    assert [layer.units for layer in wire(model, ROWS).layers] == [4]
    assert model.forward is once and torch.Tensor not in kept
    model(ROWS)
    assert model.forward is before and kept[-1] is torch.Tensor


NETS = {}


@pytest.mark.parametrize("place", ["its own", "another"])
def test_hooks_of_a_module_reached_by_a_global_name_see_no_fake_tensor(place):
    inner, seen = nn.Linear(6, 4), []
    model = Borrowing(inner, lambda x: NETS["it"](x))
    NETS["it"] = inner if place == "its own" else nn.Linear(6, 4)
    NETS["it"].register_forward_hook(lambda _module, _args, output: seen.append(type(output)))
    wiring = wire(model, ROWS)
    assert seen == [torch.Tensor]  # it ran once on the example
    assert [layer.name for layer in wiring.layers] == (["inner"] if place == "its own" else [])
    assert "not registered" in wiring.notes[0]


def test_what_fails_on_fake_tensors_is_not_logged(caplog):
    class Copying(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, x):
            copy.deepcopy(torch.tensor(0.5))
            return self.fc(x)

    assert [layer.units for layer in wire(Copying(), ROWS).layers] == [4]
    assert not caplog.records


def test_a_large_model_takes_no_memory():
    with torch.device("meta"):
        model = nn.Sequential(*[nn.Linear(20_000, 20_000) for _ in range(4)])
    wiring = wire(model, torch.zeros(2, 20_000, device="meta"))
    assert [layer.units for layer in wiring.layers] == [20_000] * 4


def test_its_text_is_a_table():
    lines = str(wire(nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 3)), ROWS)).splitlines()
    assert lines[0].split() == ["layer", "units", "axis", "inputs", "kind", "cut"]
    assert lines[1].split() == ["0", "10", "1", "6", "Linear", "free"] and "the model's output" in lines[2]


def test_leaves_of_groups_are_apart():
    wiring = wire(Heads(), TEXT)
    assert len({group.leaf for group in wiring.groups}) == len(wiring.groups)
    assert all(list(leaves(group.leaf)) == [group.leaf] for group in wiring.groups)


def test_handles_of_hooks_still_work_after_a_real_pass():
    class Picks(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.seen = nn.Linear(6, 4), {}

        def forward(self, x):
            self.seen["n"] = int((x > 0).sum())  # which no fake tensor knows
            return self.fc(x)

    model, called = Picks(), []
    handle = model.fc.register_forward_hook(lambda *_: called.append(1))
    assert [layer.name for layer in wire(model, ROWS).layers] == ["fc"] and not model.seen
    handle.remove()
    called.clear()
    model(ROWS)
    assert not called


def test_positions_that_go_through_a_layer_are_no_weight():
    class Relative(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.key, self.query = nn.Parameter(torch.randn(5, 6)), nn.Linear(6, 8), nn.Linear(6, 8)
            self.head = nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.query(x) @ self.key(self.table).T)

    wiring = wire(Relative(), ROWS)
    assert {layer.name: layer.units for layer in wiring.layers} == {"query": 8, "key": 8, "head": 3}
    inner = next(group for group in wiring.groups if "key.weight" in group.makers)
    assert wiring.left_out == {"table": "has a number for each unit of another layer"}
    assert inner.makers == ("query.weight", "key.weight") and inner.readers == () and inner.marks == {"coupled by mm"}


class Losing(nn.Module):
    """Returns its own loss, and its logits with it if it is told to."""

    def __init__(self, loss, *, logits=False):
        super().__init__()
        self.layer, self.loss, self.logits = nn.Linear(4, 3), loss, logits

    def forward(self, x):
        y = self.layer(x)
        loss = self.loss(y, torch.zeros(len(x), dtype=torch.int64))
        return (loss, y) if self.logits else loss


@pytest.mark.parametrize(
    ("loss", "applied"),
    [
        (nn.functional.cross_entropy, False),  # its log-softmax belongs to the loss
        (lambda y, target: nn.functional.nll_loss(y.log_softmax(1), target), False),
        (lambda y, target: nn.functional.nll_loss(y.tanh(), target), True),
        (lambda y, target: y.log_softmax(1), True),
    ],
)
def test_the_softmax_of_a_cross_entropy_is_no_activation_function(loss, applied):
    found = wire(Losing(loss), torch.randn(5, 4))
    assert [place.applied is not None for place in found.places[True]["layer"]] == [applied]


def test_its_html_is_a_table_whose_names_are_escaped():
    model = nn.ModuleDict({"<b>": nn.Linear(6, 10)})

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner["<b>"](x)

    html = wire(Odd(), ROWS)._repr_html_()
    assert html.startswith("<table><thead><tr><th>layer</th>") and "<td>inner.&lt;b&gt;</td><td>10</td>" in html
    assert repr(wire(Odd(), ROWS)) == str(wire(Odd(), ROWS))


def test_a_model_that_decides_by_values_runs_once_on_the_example_and_is_put_back():
    class Deciding(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm, self.runs = nn.Linear(6, 4), nn.BatchNorm1d(4), 0

        def forward(self, x):
            self.runs += 1
            self.seen = x
            return F.dropout(self.norm(self.fc(x)), 0.5) if bool(x.sum() < 1e9) else x

    model = Deciding().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    wiring = wire(model, ROWS)
    assert "a pass on fake tensors failed" in wiring.notes[0] == wiring.one_way and [
        one.name for one in wiring.layers
    ] == ["fc"]
    assert model.runs == 0 and not hasattr(model, "seen") and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_that_cannot_run_is_read_by_its_types_and_says_so():
    wiring = wire(nn.Sequential(nn.Linear(6, 4), nn.Conv2d(3, 5, 1)), torch.ones(2, 9))
    assert [(one.name, one.units, one.unit_axis) for one in wiring.layers] == [("0", 4, -1), ("1", 5, -3)]
    assert all("could not be run on the example" in one.assumed for one in wiring.layers)
    assert "could not be run" in str(wiring)


def test_heads_that_only_train_say_so():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.extra = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 2)

        def forward(self, x):
            h = torch.relu(self.body(x))
            return (self.head(h), self.extra(h)) if self.training else self.head(h)

    for mode in (True, False):
        found = {layer.name: layer.mode for layer in wire(Auxiliary().train(mode), ROWS).layers}
        assert found == {"body": "", "head": "", "extra": "train"}


def test_a_layer_reads_one_unit_on_an_axis_that_the_model_adds():
    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 6, (4, 1)), nn.Linear(6, 2)

        def forward(self, x):
            return self.fc(self.conv(x[:, None, :, None]).amax((2, 3)))

    assert {layer.name: layer.inputs for layer in wire(Waves(), torch.zeros(3, 9)).layers} == {"conv": 1, "fc": 6}
    units = {layer.name: layer.inputs for layer in wire(nn.Linear(1, 4), torch.zeros(3, 1)).layers}
    assert units == {"weight": 1}


def test_what_is_left_out_is_told_once_for_each_reason():
    text = str(wire(nn.Sequential(nn.Linear(5, 6), Scale((1, 6)), Scale((1, 6)), nn.Linear(6, 2)), ROWS[:, :5]))
    assert text.splitlines()[-1] == "left out, has a number for each unit of another layer: 1.w, 2.w"


def test_a_mode_that_could_not_be_followed_is_named(monkeypatch):
    class NeedsTargets(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, x, y=None):
            return (self.fc(x) - y).square() if self.training else self.fc(x)

    monkeypatch.setattr("cofire.nets.wiring.fake_copy.gc.collect", lambda: pytest.fail("something holds itself"))
    wiring = wire(NeedsTargets().eval(), ROWS)
    assert [one.name for one in wiring.layers] == ["fc"] and not wiring.one_way
    assert wiring.notes[0].startswith("followed in eval mode only; in the other, a TypeError: ")


def test_no_collection_of_garbage_is_needed(case, monkeypatch):
    model, example, _ = case  # one takes a tenth of a second in a process that has imported torch
    monkeypatch.setattr("cofire.nets.wiring.fake_copy.gc.collect", lambda: pytest.fail("something holds itself"))
    wire(model, example)


class LowRank(nn.Module):
    """Adds a product of low rank to a weight."""

    def __init__(self, n, m, rank=3):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(rank, m)), nn.Parameter(torch.randn(n, rank))
        self.mix = nn.Linear(m, m, bias=False)

    def forward(self, weight):
        return self.mix(weight) + self.b @ self.a


class Factors(nn.Module):
    """Computes its weight from two factors where it uses it."""

    def __init__(self, compose):
        super().__init__()
        self.a, self.b, self.compose = nn.Parameter(torch.randn(3, 6)), nn.Parameter(torch.randn(8, 3)), compose
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.relu(F.linear(x, self.compose(self.b, self.a))))


@pytest.mark.parametrize(
    "compose",
    [
        torch.matmul,
        lambda b, a: torch.einsum("ir,rj->ij", b, a),
        lambda b, a: torch.addmm(torch.ones(8, 6), b, a),
        lambda b, a: torch.cat([b[:4], b[4:]]) @ a,
        Lambda(lambda pair: pair[0] @ pair[1]),
    ],
)
def test_the_rows_of_a_weight_of_low_rank_are_one_factors_and_its_columns_the_others(compose):
    call = (lambda b, a: compose((b, a))) if isinstance(compose, Lambda) else compose
    model = Factors(call)
    wiring = wire(model, ROWS)
    assert [(one.name, one.units, one.inputs) for one in wiring.layers] == [("b", 8, 6), ("head", 2, 8)]
    first = wiring.layers[0].group[0]
    assert first.makers == ("b",) and first.readers == ("head.weight",) and not first.fixed
    assert wiring.layers[0].layout is None and wiring.layers[0].parameters == {"a", "b"}
    assert [one.size for one in wiring.dimensions["a"]] == [3, 6]


def test_what_computes_a_weight_is_no_layer():
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))
    nn.utils.parametrize.register_parametrization(model[0], "weight", LowRank(10, 6))
    wiring = wire(model, ROWS)
    assert [(one.name, one.units, one.inputs) for one in wiring.layers] == [("0", 10, 6), ("2", 3, 10)]
    for mode in (True, False):
        shown = {name: place.unit_axis for name, (place, *_) in wiring.places[mode].items()}
        assert {name for name, axis in shown.items() if axis is not None} == {"", "0", "1", "2"}
    assert [str(site) for site in cofire.nets.sites(model, example=ROWS)] == ["0", "2"]
    with cofire.capture(model) as acts:
        assert model[0].weight.shape == (10, 6)  # which runs the parametrization, outside of a pass
        model(ROWS)
    assert list(acts) == ["0", "2"] and all(len(acts[name]) == len(ROWS) for name in acts)


def test_units_that_are_used_one_by_one_have_no_group():
    class Box(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.box = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x):
            a, b = self.box(self.inner(x)).split(1, -1)
            return a * b.exp()

    inner, box = wire(Box(), ROWS).layers
    assert (inner.units, inner.group[0].fixed) == (5, "") and (box.units, box.unit_axis) == (2, 1)


def test_a_tied_embedding_and_the_last_position_alone():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.table.weight

        def forward(self, i):
            return self.head(self.table(i)[:, -1:])

    wiring = wire(Tied(), torch.randint(9, (2, 5)))
    assert [(one.name, one.units, one.unit_axis, one.inputs) for one in wiring.layers] == [
        ("table", 4, 2, 0),
        ("head", 9, 2, 4),
    ]


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize(("groups", "n_out"), [(1, 16), (2, 16), (4, 8), (8, 16), (8, 24)])
def test_the_inputs_of_a_unit_are_those_of_its_group(kind, groups, n_out):
    model = nn.Sequential(kind(8, n_out, 3, groups=groups), nn.ReLU(), nn.Conv2d(n_out, 3, 1))
    found = wire(model, torch.randn(2, 8, 9, 9)).layers[0]
    assumed = wire(model, torch.randn(2)).layers[0]  # which can't be run
    assert found.inputs == assumed.inputs == 8 // groups and found.units == assumed.units == n_out and assumed.assumed
    assert found.inputs * 9 * n_out == model[0].weight.numel()
