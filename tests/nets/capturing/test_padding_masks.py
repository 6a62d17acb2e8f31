import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import cofire


class Tagger(nn.Module):
    """Embedding, recurrence, a head at every step and one for the whole, batch or time first."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(9, 4), nn.GRU(4, 5, batch_first=batch_first)
        self.head, self.whole = nn.Linear(5, 3), nn.Linear(5, 2)
        self.time_axis = 1 if batch_first else 0

    def forward(self, ids: Tensor, attention_mask: Tensor | None = None, padding_mask: Tensor | None = None) -> Tensor:
        h = self.rnn(self.embed(ids))[0]
        self.whole(h.mean(self.time_axis))
        return self.head(h)


def _expected(model: Tagger, ids: Tensor, keep: Tensor) -> Tensor:
    h = model.rnn(model.embed(ids))[0]
    return torch.stack([row for row, one in zip(model.head(h).flatten(0, 1), keep.flatten(), strict=True) if one])


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    batch_first=st.booleans(),
    left=st.booleans(),
    how=st.sampled_from(["tensor", "callable", "attention_mask", "attention_mask positional", "padding_mask"]),
)
def test_only_unpadded_steps_are_samples(lengths, batch_first, left, how):
    steps = torch.arange(4).expand(len(lengths), 4)
    mask = steps < torch.tensor(lengths)[:, None]
    mask = mask.flip(1) if left else mask
    model, ids = Tagger(batch_first=batch_first), torch.randint(9, mask.shape)
    ids, keep = (ids, mask) if batch_first else (ids.T, mask.T)
    asked = {"tensor": mask, "callable": lambda args, kwargs: mask}.get(how, how.split()[0])
    arguments: dict[str, Tensor] = {"attention_mask": mask.long()} if how == "attention_mask" else {}
    arguments |= {"padding_mask": ~mask} if how == "padding_mask" else {}
    positional = [mask.long()] if how.endswith("positional") else []
    with torch.no_grad(), cofire.capture(model, mask=asked) as acts:
        model(ids, *positional, **arguments)
    assert torch.equal(acts["head"], _expected(model, ids, keep).detach())
    assert len(acts["embed"]) == len(acts["rnn"]) == sum(lengths)
    assert len(acts["whole"]) == len(lengths)


def test_no_mask_in_one_call_keeps_all():
    model, ids = Tagger(batch_first=True), torch.randint(9, (2, 4))
    with cofire.capture(model, mask="attention_mask") as acts:
        model(ids)
        model(ids, attention_mask=torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]))
    assert len(acts["head"]) == 8 + 3


def test_packed_and_padded_again():
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            packed = pack_padded_sequence(x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
            return self.head(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])

    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=torch.bool)
    model = Packed()
    with cofire.capture(model, mask="mask") as acts:
        model(torch.randn(2, 5, 4), mask)
    assert len(acts["rnn"]) == 5
    assert len(acts["head"]) == 5


def test_flattened_rows_follow_the_mask():
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.flatten(0, 1))

    mask = torch.tensor([[True, False, True], [False, False, True]])
    model, x = Flat(), torch.randn(2, 3, 4)
    with cofire.capture(model, mask=mask) as acts:
        model(x)
    assert torch.equal(acts["fc"], model.fc(x.flatten(0, 1)).detach()[mask.flatten()])


def test_a_mask_that_does_not_fit_is_an_error_with_both_shapes():
    model = nn.Sequential(nn.Conv1d(4, 3, 3))
    with pytest.raises(ValueError, match=r"\(2, 7\) does not fit 0.*\(2, 5\)"):  # noqa: SIM117  # which raises?
        with cofire.capture(model, mask=torch.ones(2, 7, dtype=torch.bool)):
            model(torch.randn(2, 4, 7))


@pytest.mark.parametrize(
    ("mask", "message"),
    [("attention", "did you mean 'attention_mask'"), (torch.zeros(2, 4), "got torch.float32"), (3, "got int")],
)
def test_bad_masks_are_refused_at_once(mask, message):
    with pytest.raises(ValueError, match=message):
        cofire.nets.Capture(Tagger(batch_first=True), mask=mask)
