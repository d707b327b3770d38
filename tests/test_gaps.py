"""Rows with missing values."""

import io
import pickle

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
import torch
from estimators import BECOMES_PCA, ESTIMATORS, OF_NUMBERS, quick
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
    RecurrentAutoencoder,
    StackedAEPretrainer,
    VariationalAutoencoder,
)
from skae.plotting import CodeMapDisplay, ErrorDisplay, ReconstructionDisplay
from skae.training import _streaming

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)

of_numbers = pytest.mark.parametrize(
    "estimator", [each for each in OF_NUMBERS if each._fills_gaps]
)
every = pytest.mark.parametrize(
    "estimator", [each for each in ESTIMATORS if each._fills_gaps]
)


def with_gaps(X, share=0.25, seed=0):
    """Take values out of rows at random, but leave one in each row."""
    rng = np.random.default_rng(seed)
    missing = rng.random(X.shape) < share
    missing[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = False
    return np.where(missing, np.nan, X)


@pytest.fixture(scope="module")
def X():
    """Complete rows."""
    rows = load_breast_cancer().data[:300, :10]
    return StandardScaler().fit_transform(rows)


@pytest.fixture(scope="module")
def X_gaps(X):
    """The same rows with gaps."""
    return with_gaps(X)


@every
def test_results_are_whole(estimator, X_gaps):
    model = quick(estimator).fit(X_gaps)
    assert np.isfinite(model.transform(X_gaps)).all()
    assert np.isfinite(model.score_samples(X_gaps)).all()
    X_hat = model.reconstruct(X_gaps)
    assert X_hat.shape == X_gaps.shape and np.isfinite(X_hat).all()


@of_numbers
def test_errors_and_scores_are_of_the_values_that_there_are(estimator, X_gaps):
    model = quick(estimator).fit(X_gaps)
    squares = np.square(X_gaps - model.reconstruct(X_gaps))
    each = model.reconstruction_error(X_gaps, per_feature=True)
    assert_array_equal(np.isnan(each), np.isnan(X_gaps))
    assert_allclose(each, squares, rtol=1e-4, atol=1e-6)
    rows = model.reconstruction_error(X_gaps)
    assert_allclose(rows, np.nanmean(squares, axis=1), rtol=1e-4, atol=1e-6)
    centred = X_gaps - np.nanmean(X_gaps, axis=0)
    expected = 1 - np.nansum(squares) / np.nansum(np.square(centred))
    assert model.score(X_gaps) == pytest.approx(expected, abs=1e-4)


@every
def test_score_samples_is_minus_the_error_of_the_values(estimator, X_gaps):
    if estimator is VariationalAutoencoder:
        pytest.skip("its scores are bounds on densities")
    model = quick(estimator).fit(X_gaps)
    errors = model.reconstruction_error(X_gaps)
    assert_allclose(model.score_samples(X_gaps), -errors, rtol=1e-3, atol=1e-5)


@every
def test_complete_rows_beside_rows_with_gaps(estimator, X, X_gaps):
    model = quick(estimator).fit(X_gaps)
    mixed = np.where(np.arange(len(X))[:, None] % 2, X, X_gaps)
    assert_allclose(
        model.transform(mixed)[1::2], model.transform(X)[1::2], rtol=1e-4, atol=1e-5
    )


@every
def test_rows_of_an_estimator_fitted_to_complete_rows(estimator, X, X_gaps):
    model = quick(estimator).fit(X)
    codes = model.transform(X_gaps)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.score_samples(X_gaps)).all()
    by_mean = np.where(np.isnan(X_gaps), X.mean(axis=0), X_gaps)
    error = np.square(codes - model.transform(X)).mean()
    assert error < 0.8 * np.square(model.transform(by_mean) - model.transform(X)).mean()


@of_numbers
def test_a_row_without_values_is_the_mean_row(estimator, X, X_gaps):
    model = quick(estimator).fit(X_gaps)
    nothing = np.full((1, X.shape[1]), np.nan)
    mean = model.module_.fill.mean.numpy()[None].astype(float)
    assert_allclose(model.transform(nothing), model.transform(mean), atol=1e-5)
    assert np.isnan(model.reconstruction_error(nothing)).all()
    together = np.concatenate([X_gaps, nothing])
    assert model.score(together) == pytest.approx(model.score(X_gaps), abs=0.02)


@every
@pytest.mark.parametrize("complete_first", [True, False])
def test_training_goes_on(estimator, X, X_gaps, complete_first):
    first, then = (X, X_gaps) if complete_first else (X_gaps, X)
    model = quick(estimator).partial_fit(first[:150]).partial_fit(then[150:])
    assert np.isfinite(model.transform(X_gaps)).all()
    model = quick(estimator, warm_start=True).fit(first).fit(then)
    assert np.isfinite(model.transform(X_gaps)).all()


@of_numbers
def test_a_column_without_values_when_training_goes_on(estimator, X, X_gaps):
    rows = with_gaps(X)
    rows[:, 4] = np.nan
    for first in (X, X_gaps):
        model = quick(estimator).set_params(warm_start=True).fit(first)
        with pytest.raises(ValueError, match="no value in 1 of its 10 columns"):
            model.fit(rows)
        assert np.isfinite(model.partial_fit(rows).transform(rows)).all()


@pytest.mark.parametrize("period", [2, 4])
def test_rows_that_alternate(period):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000 * period, 1)) + 0.1 * rng.normal(size=(1000 * period, 4))
    X[::period] = 20 + rng.normal(size=X[::period].shape)
    model = AutoencoderTransformer(2, init="random", max_epochs=1, random_state=0)
    fill = model.fit(X).module_.fill
    gaps = with_gaps(X)
    filled = fill(torch.tensor(gaps, dtype=torch.float32)).numpy()
    missing = np.isnan(gaps) & ~np.isnan(gaps).all(axis=1, keepdims=True)
    assert np.square(filled - X)[missing].mean() < 2


def test_gaps_after_many_complete_columns():
    rows = np.random.default_rng(0).normal(size=(40, 1001))
    model = AutoencoderTransformer(random_state=0).partial_fit(rows)
    with pytest.raises(ValueError, match="Fill in missing values first"):
        model.partial_fit(with_gaps(rows))


@every
def test_validation_rows_with_gaps(estimator, X, X_gaps):
    for rows, X_val in ((X, X_gaps), (X_gaps, X), (X_gaps, X_gaps)):
        model = quick(estimator).fit(rows[:200], X_val=X_val[200:])
        assert np.isfinite(model.validation_loss_curve_).all()


@every
def test_copies_and_files(estimator, X, X_gaps):
    for rows in (X, X_gaps):
        model = quick(estimator).fit(rows)
        file = io.BytesIO()
        skae.save(model, file)
        file.seek(0)
        for copied in (skae.load(file), pickle.loads(pickle.dumps(model))):
            assert_array_equal(copied.transform(X_gaps), model.transform(X_gaps))
            assert_array_equal(
                copied.score_samples(X_gaps), model.score_samples(X_gaps)
            )


@of_numbers
@pytest.mark.parametrize("complete", [True, False])
def test_onnx(estimator, complete, X, X_gaps):
    model = quick(estimator).fit(X if complete else X_gaps)
    session = onnxruntime.InferenceSession(skae.to_onnx(model).SerializeToString())
    for rows in (X_gaps.astype(np.float32), X.astype(np.float32)):
        (found,) = session.run(None, {"X": rows})
        assert_allclose(found, model.transform(rows), atol=1e-4)


def test_onnx_of_a_pipeline(X, X_gaps):
    skae.register_onnx_converters()
    y = X[:, 0] > np.median(X[:, 0])
    pipeline = make_pipeline(
        skae.AutoencoderTransformer(2, max_epochs=2, random_state=0),
        LogisticRegression(),
    ).fit(X, y)
    rows = X_gaps.astype(np.float32)
    model = skl2onnx.to_onnx(pipeline, rows[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, {"X": rows})[1]
    assert_allclose(found, pipeline.predict_proba(rows), atol=1e-4)


def test_scores_in_onnx(X_gaps):
    model = quick(AutoencoderTransformer).fit(X_gaps)
    onnx_model = skae.to_onnx(model, method="score_samples")
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    (scores,) = session.run(None, {"X": X_gaps.astype(np.float32)})
    assert_allclose(scores, model.score_samples(X_gaps), atol=1e-4)


@every
def test_a_table_in_a_file(estimator, X_gaps, tmp_path, monkeypatch):
    monkeypatch.setattr(_streaming, "DENSE_BYTES", 2**12)
    np.save(tmp_path / "X.npy", X_gaps.astype(np.float32))
    table = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = quick(estimator).fit(table)
    assert np.isfinite(model.transform(table)).all()
    expected = quick(estimator).fit(X_gaps.astype(np.float32))
    assert model.score(table) == pytest.approx(expected.score(X_gaps), abs=0.1)


@of_numbers
def test_other_marks_of_missing_values(estimator, X_gaps):
    codes = quick(estimator).fit_transform(X_gaps)
    objects = X_gaps.astype(object)
    objects[np.isnan(X_gaps)] = None
    names = [f"x{i}" for i in range(X_gaps.shape[1])]
    frame = pd.DataFrame(X_gaps, columns=names).astype("Float64")
    mixed = pd.DataFrame(objects).fillna(pd.NA)
    for rows in (objects, frame, mixed, np.ma.masked_invalid(X_gaps)):
        assert_array_equal(quick(estimator).fit_transform(rows), codes)


@of_numbers
def test_bad_rows(estimator, X_gaps):
    empty = X_gaps.copy()
    empty[:, [3, 7]] = np.nan
    with pytest.raises(ValueError, match=r"no value in 2 of its 10 columns.*: 3, 7"):
        quick(estimator).fit(empty)
    frame = pd.DataFrame(empty, columns=list("abcdefghij"))
    with pytest.raises(ValueError, match="no value in 2 of its 10 columns: 'd', 'h'"):
        quick(estimator).fit(frame)
    nothing = X_gaps.copy()
    nothing[5] = np.nan
    with pytest.raises(ValueError, match="NaN in every column of row 5"):
        quick(estimator).fit(nothing)
    with pytest.raises(ValueError, match="NaN in every column of row 5"):
        quick(estimator).fit(X_gaps[:100], X_val=nothing)
    infinite = X_gaps.copy()
    infinite[4, 2] = np.inf
    model = quick(estimator).fit(X_gaps)
    for method in (quick(estimator).fit, model.transform, model.score):
        with pytest.raises(ValueError, match=r"infinity: .* in row 4, column 2"):
            method(infinite)


def test_sparse_matrices_have_no_gaps(X_gaps):
    matrix = sparse.csr_matrix(X_gaps)
    with pytest.raises(ValueError, match="NaN"):
        quick(AutoencoderTransformer).fit(matrix)


@pytest.mark.parametrize("estimator", [ConvAutoencoder, RecurrentAutoencoder])
def test_estimators_that_take_no_gaps(estimator, X_gaps):
    with pytest.raises(ValueError, match=r"NaN.*AutoencoderImputer"):
        quick(estimator).fit(X_gaps)


def test_targets_have_no_gaps(X, X_gaps):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick(DenoisingAutoencoder).fit(X, X_gaps)


def test_pairs_with_gaps_in_the_noisy_rows(X, X_gaps):
    model = quick(DenoisingAutoencoder).fit(X_gaps, X)
    missing = np.isnan(X_gaps)
    error = np.square(model.reconstruct(X_gaps) - X)[missing].mean()
    assert error < 0.5 * np.square(X)[missing].mean()


class TakesGaps(Own):
    """A module of one's own that fills gaps itself."""

    allow_nan = True

    def encode(self, x):
        return super().encode(x.nan_to_num())


def test_modules_of_ones_own(X, X_gaps):
    with pytest.raises(ValueError, match="NaN"):
        quick(AutoencoderTransformer, module=Own).fit(X_gaps)
    model = quick(AutoencoderTransformer, module=TakesGaps).fit(X_gaps)
    zeros = np.nan_to_num(X_gaps)
    assert_allclose(model.transform(X_gaps), model.transform(zeros), atol=1e-6)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("noise", ["auto", "masking", "swap", "missing"])
def test_noise_for_modules_of_ones_own(noise, X_gaps):
    model = quick(DenoisingAutoencoder, module=TakesGaps, noise=noise).fit(X_gaps)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.reconstruct(X_gaps)).all()


class Listener(Callback):
    """Listens to batches, so that steps are taken one by one."""

    def on_batch_end(self, net, **kwargs):
        """Do nothing."""


def test_steps_one_by_one_agree(X_gaps):
    silent, heard = (
        quick(AutoencoderTransformer, validation_fraction=None, callbacks=each).fit(
            X_gaps
        )
        for each in (None, [Listener()])
    )
    assert_allclose(silent.loss_curve_, heard.loss_curve_, rtol=1e-3)


def test_bounds_are_of_the_density_of_the_values(X_gaps):
    """A small table keeps probabilistic PCA, whose density is known."""
    model = VariationalAutoencoder(3, random_state=0).fit(X_gaps[:60])
    module = model.module_
    V = module.linear_decoder.weight.detach().numpy().astype(float)
    noise = module.noise_variance().item()
    scale = float(module.scale)
    mean = module.mean.numpy().astype(float)
    covariance = scale**2 * (V @ V.T + noise * np.eye(len(V)))
    bounds = model.score_samples(X_gaps)
    better = model.score_samples(X_gaps, n_draws=200)
    exact = np.array(
        [
            stats.multivariate_normal(
                mean[there], covariance[np.ix_(there, there)]
            ).logpdf(row[there])
            for row, there in zip(X_gaps, ~np.isnan(X_gaps), strict=True)
        ]
    )
    assert (bounds <= exact + 0.05).all()
    assert (exact - bounds).mean() < 4
    assert (exact - better).mean() < (exact - bounds).mean()


def test_codes_of_digits_are_better_than_after_a_mean_fill():
    X = load_digits().data[:900] / 16
    X_gaps = with_gaps(X, 0.3)
    missing = X_gaps[:600], X_gaps[600:]
    model = AutoencoderTransformer(8, random_state=0).fit(missing[0])
    imputer = SimpleImputer(keep_empty_features=True).fit(missing[0])
    other = AutoencoderTransformer(8, random_state=0).fit(imputer.transform(missing[0]))
    scores = [
        r2_score(X[600:], X_hat, multioutput="variance_weighted")
        for X_hat in (
            model.reconstruct(missing[1]),
            other.reconstruct(imputer.transform(missing[1])),
        )
    ]
    assert scores[0] > scores[1] + 0.05


@pytest.mark.parametrize("pretrain", [True, False])
@pytest.mark.parametrize("pretrainer", [None, AutoencoderTransformer(4, max_epochs=3)])
def test_classifier_and_regressor(X, X_gaps, pretrain, pretrainer):
    y = (X[:, 0] > 0).astype(int)
    params = {"pretrain": pretrain, "pretrainer": pretrainer, "random_state": 0}
    for rows in (X, X_gaps):
        classifier = PretrainedClassifier(**params).fit(rows, y)
        assert classifier.score(X_gaps, y) > 0.8
        assert np.isfinite(classifier.transform(X_gaps)).all()
        regressor = PretrainedRegressor(**params).fit(rows, X[:, 0])
        assert regressor.score(X_gaps, X[:, 0]) > 0.5
    empty = X_gaps.copy()
    empty[:, 3] = np.nan
    with pytest.raises(ValueError, match="no value in 1 of its 10 columns"):
        PretrainedClassifier(**params).fit(empty, y)


@every
def test_weights(estimator, X_gaps):
    weight = np.arange(len(X_gaps)) % 3.0
    model = quick(estimator).fit(X_gaps, sample_weight=weight)
    assert np.isfinite(model.transform(X_gaps)).all()
    nothing = X_gaps.copy()
    nothing[0] = np.nan  # its weight is zero
    again = quick(estimator).fit(nothing, sample_weight=weight)
    assert_array_equal(again.transform(X_gaps), model.transform(X_gaps))
    assert model.score(X_gaps, sample_weight=weight) == pytest.approx(
        model.score(X_gaps[weight > 0], sample_weight=weight[weight > 0])
    )


def test_phases_of_layers(X_gaps):
    model = quick(StackedAEPretrainer).fit(X_gaps)
    assert all(np.isfinite(phase["error_after"]) for phase in model.phases_)
    assert all(
        np.isfinite(phase["validation_loss_curve"]).all() for phase in model.phases_
    )


def test_displays_and_diagnosis(X_gaps):
    """Warnings are errors here; gaps stay gaps in what is shown of the rows."""
    model = quick(AutoencoderTransformer).fit(X_gaps)
    shown = ReconstructionDisplay.from_estimator(model, X_gaps[:5])
    assert_array_equal(np.isnan(shown.X), np.isnan(X_gaps[:5]))
    assert np.isfinite(shown.X_hat).all()
    for display in (CodeMapDisplay, ErrorDisplay):
        display.from_estimator(model, X_gaps)
    assert "mean squared error" in str(skae.diagnose(model, X_gaps))


def test_complete_rows_of_many_columns_leave_the_global_state():
    X = np.random.default_rng(0).normal(size=(120, 320))
    fills = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        model = quick(AutoencoderTransformer, max_epochs=1).fit(X)
        left = np.random.random()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        assert np.random.random() == left  # noqa: NPY002
        fills.append(model.module_.fill.precision)
    assert torch.equal(*fills)
