"""A weight of two is the row twice, a weight of zero the row left out."""

import numpy as np
import pytest
from estimators import BECOMES_PCA, ESTIMATORS, quick
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import (
    AutoencoderTransformer,
    PretrainedClassifier,
    PretrainedRegressor,
    VariationalAutoencoder,
)


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


# Only how weights compare counts.


def pretrained(estimator, **params):
    return estimator(
        quick(AutoencoderTransformer), max_epochs=3, random_state=0, **params
    )


MODELS = [
    *(quick(estimator) for estimator in ESTIMATORS),
    *(
        quick(estimator, init="random", early_stopping=True, max_epochs=6)
        for estimator in ESTIMATORS
    ),
    quick(VariationalAutoencoder, variance="column"),
    pretrained(PretrainedClassifier),
    pretrained(PretrainedClassifier, class_weight="balanced", early_stopping=True),
    pretrained(PretrainedRegressor),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_what_all_weights_are_multiplied_by_does_not_matter(model, curved, weight):
    y = (curved[:, 0] > 0).astype(int)

    def fit(sample_weight):
        fitted = clone(model).fit(curved, y, sample_weight=sample_weight)
        outputs = [fitted.transform(curved)]
        if hasattr(fitted, "score_samples"):
            outputs += [fitted.score_samples(curved), fitted.validation_loss_curve_]
        return outputs

    expected = fit(weight)
    for factor in (1e-6, 1e6, 1 / weight.sum(), 0.3):
        for output, right in zip(fit(factor * weight), expected, strict=True):
            assert_allclose(output, right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, PretrainedClassifier])
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_equal_weights_are_as_none_bit_by_bit(estimator, curved):
    pretrains = estimator is PretrainedClassifier
    model = pretrained(estimator) if pretrains else quick(estimator)
    y = (curved[:, 0] > 0).astype(int)
    expected = clone(model).fit(curved, y).transform(curved)
    for factor in (1e-6, 0.1, 3.0):
        weight = np.full(len(curved), factor)
        codes = clone(model).fit(curved, y, sample_weight=weight).transform(curved)
        np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("variance", ["scalar", "column"])
def test_weights_of_few_rows_that_sum_to_one(variance):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 9)) + 0.1 * rng.normal(
        size=(40, 9)
    )
    weight = rng.uniform(0.5, 1.5, size=40)
    model = VariationalAutoencoder(2, variance=variance, random_state=0)
    expected = model.fit(X, sample_weight=weight).score_samples(X)
    for total in (1 - 1e-15, 1, 1 + 1e-9, 2):
        fitted = model.fit(X, sample_weight=weight * (total / weight.sum()))
        assert_allclose(fitted.score_samples(X), expected, atol=1e-2)


# Weights across calls of `partial_fit`; without momentum, a step is that of its rows.
PLAIN_SGD = {
    "optimizer": "sgd",
    "lr": 0.01,
    "init": "random",
    "net_params": {"optimizer__momentum": 0, "optimizer__nesterov": False},
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_compare_across_calls(estimator, curved):
    def fit(first, second):
        model = quick(estimator, **PLAIN_SGD)
        model.partial_fit(curved, sample_weight=first)
        before = model.transform(curved)
        model.partial_fit(curved + 0.1, sample_weight=second)
        assert len(model.loss_curve_) == 2
        return model.loss_curve_[1], before, model.transform(curved)

    one = np.ones(len(curved))
    loss, before, after = fit(None, None)
    step = np.abs(after - before).max()
    assert step > 0
    # A row without a weight has weight 1.
    for first, second in ((one, None), (None, one), (3 * one, 3 * one)):
        assert_allclose(fit(first, second)[2], after, atol=1e-3 * step)
    for first, second in ((None, 1e-6 * one), (1e6 * one, None), (1e6 * one, one)):
        other_loss, before, after = fit(first, second)
        assert np.abs(after - before).max() < 1e-3 * step
        assert other_loss == pytest.approx(loss, rel=0.1)


def test_weights_compare_with_those_of_fit(curved):
    def step(first, second):
        model = quick(AutoencoderTransformer, **PLAIN_SGD)
        model.fit(curved, sample_weight=first)
        before = model.transform(curved)
        model.partial_fit(curved + 1, sample_weight=second)
        return np.abs(model.transform(curved) - before).max()

    one = np.ones(len(curved))
    assert step(None, 1e-6 * one) < 1e-3 * step(None, one)
    assert step(1e6 * one, 1e6 * one) == step(one, one) == step(None, None)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_weights_of_any_spread(estimator, curved):
    weight = 10.0 ** np.linspace(-200, 200, len(curved))
    model = quick(estimator, max_epochs=1).fit(curved, sample_weight=weight)
    assert np.isfinite(model.transform(curved)).all()
