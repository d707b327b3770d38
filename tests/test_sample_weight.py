"""A weight of two is the row twice, a weight of zero the row left out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


@pytest.fixture
def weight(curved):
    return np.random.RandomState(3).randint(0, 4, size=len(curved)).astype(float)


# From random weights: from PCA, there is noise, drawn for each row.
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_exact_at_full_batch(optimizer, curved, weight):
    def fit(X, sample_weight=None):
        return AutoencoderTransformer(
            2,
            init="random",
            optimizer=optimizer,
            batch_size=10_000,
            max_epochs=5,
            validation_fraction=None,
            random_state=0,
        ).fit(X, sample_weight=sample_weight)

    weighted = fit(curved, weight)
    repeated = fit(curved.repeat(weight.astype(int), axis=0))
    assert_allclose(weighted.transform(curved), repeated.transform(curved), atol=1e-5)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-4)
    without = fit(curved)
    assert np.abs(without.transform(curved) - weighted.transform(curved)).max() > 1e-4
    assert abs(without.loss_curve_[0] / weighted.loss_curve_[0] - 1) > 1e-3


def test_same_on_average_with_mini_batches(curved):
    # Rows of one half count ten times. How much better they are reconstructed than the
    # others is then as when they are there ten times, not as with equal weights.
    half = curved[:, 0] > 0
    weight = np.where(half, 10.0, 1.0)

    def log_ratio(X, sample_weight=None):
        ratios = []
        for seed in range(3):
            model = AutoencoderTransformer(
                1,
                max_epochs=20_000 // len(X),
                batch_size=20,
                validation_fraction=None,
                random_state=seed,
            ).fit(X, sample_weight=sample_weight)
            error = model.reconstruction_error(curved)
            ratios.append(np.log(error[half].mean() / error[~half].mean()))
        return np.mean(ratios)

    equal = log_ratio(curved)
    weighted = log_ratio(curved, weight)
    repeated = log_ratio(curved.repeat(weight.astype(int), axis=0))
    assert weighted < equal - 0.3
    assert abs(weighted - repeated) < 0.6 * abs(equal - repeated)


def test_start_is_weighted_pca(curved, weight):
    few = curved[:40], weight[:40]
    model = AutoencoderTransformer(3).fit(few[0], sample_weight=few[1])
    pca = PCA(3).fit(few[0].repeat(few[1].astype(int), axis=0))
    assert_allclose(model.transform(curved), pca.transform(curved), atol=1e-5)


@pytest.mark.parametrize("bad", [[-1.0] + [1.0] * 399, [0.0] * 400, [1.0] * 3])
def test_bad_weights(curved, bad):
    with pytest.raises(
        ValueError, match=r"[Nn]egative|zero for every|non-zero|inconsistent|shape"
    ):
        AutoencoderTransformer().fit(curved, sample_weight=bad)
