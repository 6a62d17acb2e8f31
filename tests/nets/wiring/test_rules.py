"""Each rule against real tensors: what is computed from one index of a leaf lies at that index of the output."""

import pytest
import torch
from torch.nn import functional as F

from cofire.nets.wiring.dimensions import kept, leaves
from cofire.nets.wiring.follow import Follower
from cofire.nets.wiring.rules import RULES

INDEX = torch.tensor([2, 0, 1])
MASK = torch.arange(24).reshape(2, 3, 4) % 2 == 0


def written(x, w):
    x = x.clone()
    x[:, INDEX[:2]] = w
    return x


# name -> (operation on x and w, shape of x, shape of w); x is the model's input in all but its free last axes
CASES = {
    "relu": (lambda x, w: F.relu(x), (2, 6), (1,)),
    "add": (lambda x, w: x + w, (2, 6), (6,)),
    "scale in place": (lambda x, w: x.clone().mul_(w), (2, 6), (6,)),
    "where": (lambda x, w: torch.where(MASK, x, w), (2, 3, 4), (4,)),
    "masked_fill": (lambda x, w: x.masked_fill(MASK, 0.0), (2, 3, 4), (1,)),
    "prelu": (lambda x, w: F.prelu(x, w), (2, 6, 5), (6,)),
    "cumsum": (lambda x, w: x.cumsum(0), (3, 6), (1,)),
    "cumprod": (lambda x, w: x.cumprod(1), (3, 6), (1,)),
    "logcumsumexp": (lambda x, w: x.logcumsumexp(1), (3, 6), (1,)),
    "cummax": (lambda x, w: x.cummax(1).values, (3, 6), (1,)),
    "triu": (lambda x, w: x.triu(), (2, 4, 4), (1,)),
    "tril": (lambda x, w: x.tril(-1), (2, 4, 4), (1,)),
    "diagonal": (lambda x, w: x.diagonal(dim1=1, dim2=2), (5, 4, 4), (1,)),
    "diag_embed": (lambda x, w: x.diag_embed(), (5, 4), (1,)),
    "movedim": (lambda x, w: x.movedim(2, 0), (2, 3, 4), (1,)),
    "unfold": (lambda x, w: x.unfold(1, 3, 2), (2, 7), (1,)),
    "im2col": (lambda x, w: F.unfold(x, 2), (2, 3, 4, 4), (1,)),
    "col2im": (lambda x, w: F.fold(x, (4, 4), 2), (2, 12, 9), (1,)),
    "fft": (lambda x, w: torch.fft.fft(x, dim=1).real, (2, 3, 4), (1,)),
    "rfft": (lambda x, w: torch.fft.rfft(x, dim=1).abs(), (2, 5, 4), (1,)),
    "irfft": (lambda x, w: torch.fft.irfft(torch.fft.rfft(x, dim=1) * w, dim=1), (2, 6, 4), (4,)),
    "view_as_complex": (lambda x, w: torch.view_as_real(torch.view_as_complex(x) * w[:, None]), (3, 4, 2), (3,)),
    "complex": (lambda x, w: torch.complex(x, x * 2).conj().imag, (3, 4), (3,)),
    "pixel_shuffle": (lambda x, w: F.pixel_shuffle(x, 2), (2, 12, 3, 3), (1,)),
    "channel_shuffle": (lambda x, w: F.channel_shuffle(x, 2), (2, 6, 3, 3), (1,)),
    "outer": (lambda x, w: torch.outer(x[0], w), (2, 6), (5,)),
    "cosine_similarity": (lambda x, w: F.cosine_similarity(x, w, -1), (2, 3, 6), (6,)),
    "normalize": (lambda x, w: F.normalize(x, dim=-1) * w, (2, 3, 6), (6,)),
    "cdist": (lambda x, w: torch.cdist(x, w), (2, 3, 6), (2, 5, 6)),
    "glu": (lambda x, w: F.glu(x, -1), (2, 3, 6), (1,)),
    "addcmul": (lambda x, w: torch.addcmul(x, x, w), (2, 6), (6,)),
    "lerp": (lambda x, w: torch.lerp(x, x * 2, w), (2, 6), (6,)),
    "tile": (lambda x, w: x.tile(2, 2), (2, 6), (1,)),
    "meshgrid": (lambda x, w: torch.meshgrid(x[0], w, indexing="ij")[0], (2, 6), (5,)),
    "instance_norm": (lambda x, w: F.instance_norm(x, weight=w), (3, 6, 4), (6,)),
    "local_response_norm": (lambda x, w: F.local_response_norm(x, 2), (3, 6, 4), (1,)),
    "maximum": (lambda x, w: torch.maximum(x, w), (2, 6), (6,)),
    "one_hot": (lambda x, w: F.one_hot(INDEX, 4).to(x) @ x, (4, 6), (1,)),
    "index_add": (lambda x, w: x.clone().index_add_(0, INDEX, w.expand(3, 6)), (3, 6), (6,)),
    "index_copy": (lambda x, w: x.clone().index_copy_(0, INDEX, w.expand(3, 6)), (3, 6), (6,)),
    "scatter_add": (lambda x, w: x.clone().scatter_add_(0, INDEX[:, None].expand(3, 6), x * w), (3, 6), (6,)),
    "scatter_reduce": (
        lambda x, w: x.clone().scatter_reduce_(0, INDEX[:, None].expand(3, 6), x * w, "amax"),
        (3, 6),
        (6,),
    ),
    "written through a view": (lambda x, w: (y := x * 2)[:, 1:3].mul_(w).sum() * 0 + y, (2, 6), (2,)),
    "narrow": (lambda x, w: x.narrow(1, 2, 3), (2, 6), (1,)),
    "diff": (lambda x, w: x.diff(dim=1), (2, 6), (1,)),
    "std": (lambda x, w: x.std(-1, keepdim=True) * w, (2, 3, 6), (6,)),
    "rot90": (lambda x, w: x.rot90(1, (0, 1)), (2, 6), (1,)),
    "bilinear": (lambda x, w: F.bilinear(x, x, w), (2, 6), (5, 6, 6)),
    "pairwise kernel": (lambda x, w: (x[:, None] * w).sum(-1), (2, 6), (5, 6)),
    "split view": (lambda x, w: x.view(2, 3, 4), (2, 12), (1,)),
    "merged view": (lambda x, w: x.view(2, 12), (2, 3, 4), (1,)),
    "regrouped view": (lambda x, w: x.view(2, 3, 2).view(2, 2, 3), (2, 6), (1,)),
    "flatten": (lambda x, w: x.flatten(1), (2, 3, 4), (1,)),
    "permute": (lambda x, w: x.permute(2, 0, 1), (2, 3, 4), (1,)),
    "transpose": (lambda x, w: x.transpose(1, 2), (2, 3, 4), (1,)),
    "transpose in place": (lambda x, w: x.clone().transpose_(0, 2), (2, 3, 4), (1,)),
    "t": (lambda x, w: x.t(), (2, 6), (1,)),
    "unsqueeze": (lambda x, w: x.unsqueeze(1), (2, 6), (1,)),
    "squeeze": (lambda x, w: x.squeeze(1), (2, 1, 6), (1,)),
    "squeeze all": (lambda x, w: x.squeeze(), (2, 1, 6, 1), (1,)),
    "expand": (lambda x, w: x[:, None].expand(2, 4, 6), (2, 6), (1,)),
    "repeat": (lambda x, w: x.repeat(1, 3), (2, 6), (1,)),
    "repeat_interleave": (lambda x, w: x.repeat_interleave(2, 1), (2, 6), (1,)),
    "slice": (lambda x, w: x[:, 1:5], (2, 6), (1,)),
    "slice with a step": (lambda x, w: x[:, 1::2], (2, 6), (1,)),
    "odd slice": (lambda x, w: x[:, ::4], (2, 6), (1,)),
    "split": (lambda x, w: x.split([1, 3, 2], 1)[1], (2, 6), (1,)),
    "chunk": (lambda x, w: x.chunk(3, 1)[2], (2, 6), (1,)),
    "halves added": (lambda x, w: sum(x.chunk(2, 1)), (2, 6), (1,)),
    "rotated halves": (lambda x, w: x * w + torch.cat([-x[:, 3:], x[:, :3]], 1), (2, 6), (6,)),
    "unbind": (lambda x, w: x.unbind(1)[1], (2, 3, 4), (1,)),
    "select": (lambda x, w: x[:, 1], (2, 3, 4), (1,)),
    "cat": (lambda x, w: torch.cat([x, w.expand(2, 6), x], 1), (2, 6), (6,)),
    "stack": (lambda x, w: torch.stack([x, x * 2], 1), (2, 6), (1,)),
    "pad": (lambda x, w: F.pad(x, (1, 2)), (2, 6), (1,)),
    "crop": (lambda x, w: F.pad(x, (-1, -2)), (2, 6), (1,)),
    "index": (lambda x, w: x[:, INDEX], (2, 3, 4), (1,)),
    "mask": (lambda x, w: x[torch.tensor([True, False, True])], (3, 4, 5), (1,)),
    "mask of two axes": (lambda x, w: x[MASK[:, :, 0]], (2, 3, 4), (1,)),
    "mask behind an axis": (lambda x, w: x[:, MASK[0, :, 0]] * w, (2, 3, 4), (4,)),
    "masked_select": (lambda x, w: x.masked_select(MASK), (2, 3, 4), (1,)),
    "nonzero": (lambda x, w: (x + 9).nonzero().to(x), (2, 6), (1,)),
    "experts chosen by index": (lambda x, w: torch.bmm(x[:, None], w[INDEX])[:, 0], (3, 4), (3, 4, 5)),
    "index_select": (lambda x, w: x.index_select(1, INDEX), (2, 3, 4), (1,)),
    "gather": (lambda x, w: x.gather(1, INDEX.expand(2, 3)), (2, 3), (1,)),
    "flip": (lambda x, w: x.flip(1), (2, 6), (1,)),
    "roll": (lambda x, w: x.roll(1, 1), (2, 6), (1,)),
    "topk": (lambda x, w: x.topk(2, 1).values, (2, 6), (1,)),
    "index_put by a mask": (lambda x, w: x.clone().index_put_((MASK[:, :, 0],), w), (2, 3, 4), (4,)),
    "index_put of rows": (lambda x, w: x.clone().index_put_((INDEX[:2],), w), (3, 5, 4), (5, 4)),
    "index_put behind an axis": (lambda x, w: written(x, w), (2, 3, 4), (4,)),
    "masked_scatter": (lambda x, w: x.masked_scatter(MASK, w.expand(2, 3, 4)), (2, 3, 4), (4,)),
    "index_put": (lambda x, w: x.clone().index_put_((INDEX[:2],), w), (3, 6), (6,)),
    "embedding": (lambda x, w: F.embedding(INDEX, w) + x, (3, 6), (4, 6)),
    "linear": (lambda x, w: F.linear(x, w), (2, 6), (5, 6)),
    "matmul of (in, out)": (lambda x, w: x @ w, (2, 3, 6), (6, 5)),
    "mv": (lambda x, w: x @ w, (2, 6), (6,)),
    "bmm": (lambda x, w: torch.bmm(x, w), (2, 3, 4), (2, 4, 5)),
    "baddbmm": (lambda x, w: torch.baddbmm(x[:, :, :1], x, w), (2, 3, 4), (2, 4, 5)),
    "einsum": (lambda x, w: torch.einsum("bhd,hde->bhe", x, w), (2, 3, 4), (3, 4, 5)),
    "conv1d": (lambda x, w: F.conv1d(x, w), (2, 4, 7), (6, 4, 3)),
    "conv2d": (lambda x, w: F.conv2d(x, w, padding=1), (2, 4, 5, 5), (6, 4, 3, 3)),
    "depthwise": (lambda x, w: F.conv2d(x, w, groups=4), (2, 4, 5, 5), (4, 1, 3, 3)),
    "depthwise with a multiplier": (lambda x, w: F.conv2d(x, w, groups=4), (2, 4, 5, 5), (8, 1, 3, 3)),
    "grouped": (lambda x, w: F.conv2d(x, w, groups=2), (2, 4, 5, 5), (6, 2, 3, 3)),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w), (2, 4, 5, 5), (4, 6, 3, 3)),
    "grouped conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, groups=2), (2, 4, 5, 5), (4, 3, 3, 3)),
    "grid_sample": (
        lambda x, w: F.grid_sample(x, w.tanh().mul(0.4).expand(2, 3, 5, 2), align_corners=False),
        (2, 4, 6, 6),
        (2,),
    ),
    "upsample by nearest": (lambda x, w: F.interpolate(x, (3,), mode="nearest-exact"), (2, 4, 6), (1,)),
    "embedding_bag": (lambda x, w: F.embedding_bag(INDEX[None], w) + x, (1, 6), (4, 6)),
    "max_pool": (lambda x, w: F.max_pool2d(x, 2), (2, 4, 6, 6), (1,)),
    "avg_pool": (lambda x, w: F.avg_pool1d(x, 2), (2, 4, 6), (1,)),
    "adaptive pool": (lambda x, w: F.adaptive_avg_pool2d(x, 2), (2, 4, 6, 6), (1,)),
    "interpolate": (lambda x, w: F.interpolate(x, scale_factor=2, mode="bilinear"), (2, 4, 3, 3), (1,)),
    "reflection pad": (lambda x, w: F.pad(x, (1, 1), mode="reflect"), (2, 4, 5), (1,)),
    "mean": (lambda x, w: x.mean((2, 3)), (2, 4, 3, 3), (1,)),
    "sum, kept": (lambda x, w: x.sum(1, keepdim=True) * w, (2, 4, 5), (5,)),
    "softmax": (lambda x, w: x.softmax(-1), (2, 4, 5), (1,)),
    "layer_norm": (lambda x, w: F.layer_norm(x, (6,), w), (2, 3, 6), (6,)),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), (2, 3, 6), (6,)),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w), (2, 6, 5), (6,)),
    "batch_norm": (lambda x, w: F.batch_norm(x, w.detach() * 0, w.detach() * 0 + 1, w), (3, 6, 4), (6,)),
    "attention": (lambda x, w: F.scaled_dot_product_attention(x * w, x, x), (2, 3, 5, 4), (4,)),
    "attention with a mask": (
        lambda x, w: F.scaled_dot_product_attention(x, x, x, attn_mask=w.expand(2, 3, 5, 5)),
        (2, 3, 5, 4),
        (1, 3, 1, 1),
    ),
}


def followed(operation, x, w):
    # Two parameters of which one stands for the data: all axes are then free, and nothing hides behind "input".
    follower = Follower({"x": x, "w": w})
    follower.parameter_signals["x"].varies = True
    with torch.no_grad(), follower:
        output = operation(x, w)
    return output, follower


@pytest.mark.parametrize("name", CASES)
def test_an_index_of_a_leaf_stays_at_its_place(name):
    operation, *shapes = CASES[name]
    x, w = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    output, follower = followed(operation, x, w)
    assert not follower.unknown
    dimensions = follower.signal(output).dimensions
    assert [one.size for one in dimensions] == list(output.shape)
    carried = dict.fromkeys(leaf for one in dimensions for leaf in leaves(one))
    inputs = {"x": x, "w": w}
    for leaf in carried:
        if leaf.fixed or leaf.marks or leaf.size < 2:
            continue
        index = leaf.size - 1
        changed = {key: value.clone() for key, value in inputs.items()}
        for key, value in changed.items():
            for axis, one in enumerate(follower.parameter_signals[key].dimensions):
                if leaf in set(leaves(one)):
                    at = kept(one, {leaf: torch.tensor([index])})
                    value.index_add_(axis, at, torch.rand_like(value.index_select(axis, at)) + 0.5)
        with torch.no_grad():
            differs = operation(changed["x"], changed["w"]) != output
        allowed = torch.zeros_like(differs)
        for axis, one in enumerate(dimensions):
            if leaf in set(leaves(one)):
                allowed.index_fill_(axis, kept(one, {leaf: torch.tensor([index])}), True)
        taken = any(leaf in set(leaves(one)) for key in inputs for one in follower.parameter_signals[key].dimensions)
        assert not (differs & ~allowed).any() and differs.any() == taken, leaf


def ordered(value, dimensions, orders):
    for axis, one in enumerate(dimensions):
        value = value.index_select(axis, kept(one, orders))
    return value


@pytest.mark.parametrize("name", CASES)
def test_another_order_of_free_leaves_gives_the_output_in_that_order(name):
    operation, *shapes = CASES[name]
    x, w = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    output, follower = followed(operation, x, w)
    inputs = [(value, follower.parameter_signals[key].dimensions) for key, value in (("x", x), ("w", w))]
    every = [*(one for _, dimensions in inputs for one in dimensions), *follower.signal(output).dimensions]
    free = dict.fromkeys(leaf for one in every for leaf in leaves(one) if not leaf.fixed and leaf.size > 1)
    orders = {leaf: torch.arange(leaf.size).roll(1) for leaf in free}
    with torch.no_grad():
        found = operation(*(ordered(value, dimensions, orders) for value, dimensions in inputs))
    torch.testing.assert_close(found, ordered(output, follower.signal(output).dimensions, orders))


FREE = ["relu", "add", "permute", "cat", "linear", "conv2d", "depthwise", "grouped", "bmm", "layer_norm", "batch_norm"]


@pytest.mark.parametrize("name", FREE)
def test_what_can_be_followed_is_not_fixed(name):
    operation, *shapes = CASES[name]
    output, follower = followed(operation, *(torch.randn(shape) for shape in shapes))
    assert any(not leaf.fixed for one in follower.signal(output).dimensions for leaf in leaves(one))


def test_every_rule_is_used_by_a_case(monkeypatch):
    used = set()
    for name, function in list(RULES.items()):
        monkeypatch.setitem(RULES, name, lambda call, f=function: (used.add(f.__name__), f(call))[1])
    for operation, *shapes in CASES.values():
        followed(operation, *(torch.randn(shape) for shape in shapes))
    wanted = {function.__name__ for function in RULES.values()} - {"<lambda>"}
    assert wanted - used == set()


@pytest.mark.parametrize(
    ("operation", "name"),
    [(lambda x, w: torch.linalg.inv(x[:2, :2]), "linalg_inv_ex"), (lambda x, w: torch.linalg.qr(x).Q, "linalg_qr")],
)
def test_an_operation_without_a_rule_fixes_what_it_touches_and_is_named(operation, name):
    output, follower = followed(operation, torch.randn(3, 6), torch.randn(1))
    assert name in follower.unknown
    for one in follower.signal(output).dimensions:
        assert all("no rule for" in leaf.fixed for leaf in leaves(one))


def test_roles_of_parameters():
    x, w = torch.randn(2, 6), torch.randn(5, 6)
    _, follower = followed(F.linear, x, w)
    assert [(use.role, use.dimension.size) for use in follower.uses] == [("reader", 6), ("maker", 5)]
    _, follower = followed(lambda x, w: F.conv2d(x, w, groups=4), torch.randn(2, 4, 5, 5), torch.randn(4, 1, 3, 3))
    assert {use.role for use in follower.uses} == {"rider"}


def test_what_is_written_in_place_varies():
    def operation(x, w):
        out = torch.zeros(2, 6)
        out[:, :3] = x[:, :3]
        return out

    output, follower = followed(operation, torch.randn(2, 6), torch.randn(1))
    assert follower.signal(output).varies
