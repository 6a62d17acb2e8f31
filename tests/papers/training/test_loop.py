import pytest
import torch

from cofire.papers.training.datasets import digits
from cofire.papers.training.loop import Settings, batches, fit, scored, train
from cofire.papers.training.models import mlp
from cofire.record import Run, correlation


def test_batches_cover_the_data_and_start_anywhere() -> None:
    x, y, settings = torch.arange(10), torch.arange(10), Settings(epochs=2, batch_size=4, seed=3)
    whole = list(batches(x, y, settings))
    assert [step for step, _ in whole] == [1, 2, 3, 4, 5, 6]
    assert sorted(torch.cat([part[0] for _, part in whole[:3]]).tolist()) == list(range(10))
    late = list(batches(x, y, settings, start=4))
    assert [(s, p[0].tolist()) for s, p in late] == [(s, p[0].tolist()) for s, p in whole[4:]]


def test_a_run_is_reproducible_and_learns(tmp_path) -> None:
    found, data = [], digits().first(300)
    for name in ("a", "b"):
        model = mlp([64, 32, 10])
        found.append(
            train(model, data, Settings(epochs=8, learning_rate=0.01), run=tmp_path / name, measures=[correlation()])
        )
    assert found[0] == found[1] and found[0].accuracy > 0.8
    with Run.open(tmp_path / "a") as run:
        assert {"loss", "accuracy", "test_loss", "test_accuracy"} <= {row.measure for row in run.rows(site="")}


def test_other_settings_in_the_same_directory_are_an_error(tmp_path) -> None:
    data = digits().first(100)
    train(mlp([64, 8, 10]), data, Settings(epochs=1), run=tmp_path / "a", measures=[correlation()])
    with pytest.raises(ValueError, match=r"learning_rate: was 0\.001, now 0\.1"):
        train(mlp([64, 8, 10]), data, Settings(epochs=1, learning_rate=0.1), run=tmp_path / "a", measures=[])


def test_wrong_settings_and_networks_are_errors() -> None:
    with pytest.raises(ValueError, match="optimizer must be one of adam, sgd, got 'lbfgs'"):
        Settings(epochs=1, optimizer="lbfgs")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Settings(epochs=0)
    with pytest.raises(ValueError, match="widths"):
        mlp([3])
    with pytest.raises(ValueError, match="activation must be one of"):
        mlp([3, 3], activation="step")


def test_initial_weights_have_the_right_variance() -> None:
    state = torch.get_rng_state()
    weight = mlp([400, 500, 10]).get_submodule("hidden1").weight
    assert float(weight.detach().var()) == pytest.approx(2 / 400, rel=0.05)
    assert torch.equal(torch.get_rng_state(), state)


def test_fit_makes_the_same_steps_as_train(tmp_path) -> None:
    data, settings = digits().first(200), Settings(epochs=3, seed=5)
    tracked, plain = mlp([64, 16, 10]), mlp([64, 16, 10])
    train(tracked, data, settings, run=tmp_path / "a", measures=[correlation()])
    assert fit(plain, data, settings) == 3
    for one, other in zip(tracked.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_fit_stops_at_a_loss() -> None:
    data, model = digits().first(100), mlp([64, 32, 10])
    epochs = fit(model, data, Settings(epochs=300, learning_rate=0.01), until_loss=0.1)
    assert 1 < epochs < 300
    assert scored(model, data.train_x, data.train_y)[0] <= 0.1
    assert fit(mlp([64, 32, 10]), data, Settings(epochs=epochs - 1, learning_rate=0.01), until_loss=0.1) == epochs - 1


def test_settings_take_a_tasks_values_and_fixed_ones_win() -> None:
    values = {"data": "digits", "epochs": 3, "learning_rate": 0.1}
    assert Settings.of(values, optimizer="sgd", epochs=2) == Settings(epochs=2, optimizer="sgd", learning_rate=0.1)
    with pytest.raises(TypeError, match="momentun"):
        Settings.of(values, momentun=0.9)
