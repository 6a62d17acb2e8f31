import math

import pytest
import torch

from cofire.papers.peganov2021.peganov_networks import CharacterLSTM
from cofire.papers.training.language import Reading, learn_text, text_loss, windows, windows_of
from cofire.papers.training.texts import as_text, load_text
from cofire.record import correlation


def test_windows_cover_the_streams_in_order() -> None:
    text = torch.arange(103)
    found = list(windows(text, batch_size=4, length=5))
    inputs = torch.cat([x for x, _ in found], 1)
    assert inputs.shape == (4, 25) and torch.equal(inputs, torch.arange(100).view(4, 25))
    assert all(torch.equal(y, x + 1) for x, y in found)
    with pytest.raises(ValueError, match="4 streams of 5 need 21 characters, got 20"):
        next(windows(text[:20], batch_size=4, length=5))
    with pytest.raises(ValueError, match="3 windows of 40 need 120 characters, got 103"):
        windows_of(text, n_windows=3, length=40)


def test_an_untrained_model_guesses_and_a_trained_one_predicts() -> None:
    text = as_text("abc", "abc" * 400, "abc" * 100)
    model = CharacterLSTM(3, [8], seed=0)
    assert text_loss(model, text.test) == pytest.approx(math.log(3), abs=0.1)
    learn_text(model, text, Reading(epochs=3, batch_size=8, learning_rate=0.02))
    assert text_loss(model, text.test) < 0.1


def test_the_loss_equals_that_of_one_stream() -> None:
    text, model = load_text("zen"), CharacterLSTM(len(load_text("zen").vocabulary), [6, 5], dropout=0.5, seed=1)
    part = text.test[:101]
    with torch.no_grad():
        logits, _ = model.eval()(part[None, :-1])
    expected = torch.nn.functional.cross_entropy(logits[0], part[1:])
    model.train()
    assert text_loss(model, part, length=100) == pytest.approx(float(expected), rel=1e-5) and model.training


def test_the_state_carries_over_between_windows() -> None:
    """Two windows with the state carried over give the logits of one long window."""
    model, symbols = CharacterLSTM(5, [4, 3], seed=0).eval(), torch.randint(5, (2, 20))
    whole, _ = model(symbols)
    first, state = model(symbols[:, :10])
    second, _ = model(symbols[:, 10:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_a_character_model_is_reproducible_and_can_be_tracked() -> None:
    text = load_text("zen").first(400)
    models = [CharacterLSTM(len(text.vocabulary), [7, 6], dropout=0.3, seed=2) for _ in range(2)]
    reading = Reading(epochs=2, batch_size=8, optimizer="sgd", learning_rate=0.1)
    probe = windows_of(text.test, n_windows=5, length=20)
    rows = learn_text(
        models[0], text, reading, seed=2, measures=[correlation(sites="lstm*")], probe=probe, every=[0, 4]
    )
    assert not learn_text(models[1], text, reading)
    for mine, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(mine, theirs)
    found = {(row.site, row.step): row for row in rows if row.measure == "nc"}
    assert set(found) == {(site, step) for site in ("lstm1", "lstm2") for step in (0, 4)}
    assert found["lstm1", 0].n_samples == 100 and {row.seed for row in rows} == {2}
