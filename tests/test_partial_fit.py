"""The first call of `partial_fit`, and what it does as `fit` does."""

import numpy as np
import pytest
from estimators import ESTIMATORS, quick
from skorch.callbacks import Callback

from skae import AutoencoderTransformer, RecurrentAutoencoder, VariationalAutoencoder


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("n_rows", [1, 2, 10, 29])
def test_few_first_rows(n_rows, estimator, curved):
    model = quick(estimator, max_epochs=1)
    message = rf"{estimator.__name__}: the first call.* {n_rows} row.*Begin with 30"
    with pytest.warns(UserWarning, match=message):
        model.partial_fit(curved[:n_rows])
    # Later ones may be few.
    model.partial_fit(curved[:1])
    assert np.isfinite(model.reconstruct(curved)).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rows_enough(estimator, curved):
    quick(estimator, max_epochs=1, n_components=3).partial_fit(curved[:30])


def test_fewer_rows_than_components(curved):
    model = AutoencoderTransformer(50, random_state=0)
    with pytest.warns(UserWarning, match="given 40 rows.*Begin with 50"):
        model.partial_fit(curved[:40])


def test_first_rows_that_are_all_the_same(curved):
    model = AutoencoderTransformer(random_state=0)
    with pytest.warns(UserWarning, match="given 50 rows, all of them the same"):
        model.partial_fit(np.repeat(curved[:1], 50, axis=0))


def test_nothing_is_found_from_the_first_rows_of_cross_entropy(curved):
    AutoencoderTransformer(loss="binary_cross_entropy").partial_fit(curved[:5] > 0)


class Norms(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, training, **kwargs):
        if training:
            gradients = [p.grad for p in net.module_.parameters() if p.grad is not None]
            squares = sum(float(each.square().sum()) for each in gradients)
            self.seen.append(squares**0.5)


@pytest.mark.parametrize("estimator", [VariationalAutoencoder, RecurrentAutoencoder])
def test_gradients_are_clipped_as_in_fit(estimator, curved):
    norms = Norms()
    params = {"init": "random", "optimizer": "sgd", "callbacks": [norms]}
    model = quick(estimator, max_epochs=2, **params)
    for _ in range(3):
        model.partial_fit(curved)
    in_calls = len(norms.seen)
    assert max(norms.seen) < 1 + 1e-5
    model.fit(curved)
    assert len(norms.seen) > in_calls
    assert max(norms.seen) < 1 + 1e-5


def test_steep_steps_stay_finite():
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 9)))
    model = VariationalAutoencoder(2, optimizer="sgd", random_state=0)
    for _ in range(3):
        model.partial_fit(X)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.score_samples(X)).all()
