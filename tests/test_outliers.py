"""The outlier detector: its false alarms, its scores, and what it takes."""

import copy
import pickle
import random

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from estimators import BECOMES_PCA
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoder,
    FileError,
    RecurrentAutoencoder,
    TableAutoencoder,
    VariationalAutoencoder,
    _conformal,
    load,
    register_onnx_converters,
    save,
    to_onnx,
)

SCORES = ["neighbors", "error", "density"]
pytestmark = [
    pytest.mark.filterwarnings(BECOMES_PCA),
    pytest.mark.filterwarnings("ignore:With .* rows held out:UserWarning"),
]
every_score = pytest.mark.parametrize("score", SCORES)


def quick(score="neighbors", autoencoder=None, **params):
    """Return a detector that trains for a moment."""
    if autoencoder is None:
        autoencoder = AutoencoderTransformer(2, max_epochs=3)
    params.setdefault("random_state", 0)
    return AutoencoderOutlierDetector(autoencoder, outlier_score=score, **params)


@parametrize_with_checks(
    [AutoencoderOutlierDetector(outlier_score=score) for score in SCORES]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# False alarms


@every_score
def test_false_alarms_are_what_was_asked_for(score):
    # The rows that calibrate differ from draw to draw, and so do the alarms. They are
    # close to what was asked for on average.
    rng = np.random.RandomState(0)
    mixing = rng.normal(size=(2, 6))
    rates = []
    for seed in range(8):
        X = np.tanh(rng.normal(size=(2500, 2)) @ mixing) + 0.1 * rng.normal(
            size=(2500, 6)
        )
        detector = quick(score, random_state=seed).fit(X[:500])
        p = detector.p_values(X[500:])
        rates.append([np.mean(p <= alpha) for alpha in (0.05, 0.2, 0.5)])
    error = np.abs(np.mean(rates, axis=0) - [0.05, 0.2, 0.5])
    assert (error < [0.03, 0.055, 0.07]).all()


@given(
    scores=st.lists(st.integers(0, 5), min_size=2, max_size=40),
    alpha=st.floats(0.01, 0.9),
)
@settings(deadline=None)
def test_p_values_of_exchangeable_rows_are_valid(scores, alpha):
    # Any of the rows may be the new one: at most a share alpha of these choices has a
    # p-value of at most alpha, whatever the scores and their ties.
    scores = np.array(scores, dtype=float)
    p = [
        _conformal.p_values(
            scores[[i]], np.sort(np.delete(scores, i)), np.ones(len(scores) - 1)
        )[0]
        for i in range(len(scores))
    ]
    assert np.mean(_conformal.rejected(np.array(p), alpha)) <= alpha + 1e-9


@given(
    scores=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    weight_seed=st.integers(0, 9),
    alpha=st.floats(0.01, 0.9),
)
@settings(deadline=None)
def test_threshold_agrees_with_p_values(scores, weight_seed, alpha):
    scores = np.sort(np.array(scores, dtype=float))
    weight = np.random.RandomState(weight_seed).uniform(0.5, 2, len(scores))
    weight /= weight.mean()
    new = np.arange(-1, 11, 0.5)
    p = _conformal.p_values(new, scores, weight)
    below = new < _conformal.threshold(scores, weight, alpha)
    assert_array_equal(below, _conformal.rejected(p, alpha))


@every_score
def test_predictions_are_those_of_p_values(score, digits):
    X, X_new = digits
    detector = quick(score).fit(X)
    p = detector.p_values(X_new)
    assert_array_equal(detector.predict(X_new) == -1, p <= 0.05)
    assert_array_equal(detector.reject(X_new), p <= 0.05)
    assert_array_equal(detector.reject(X_new, alpha=0.2), p <= 0.2)
    n_held_out = len(detector.calibration_scores_)
    assert n_held_out == 100
    assert p.min() >= 1 / (n_held_out + 1)
    assert p.max() <= 1


def test_the_false_discovery_rate_is_bounded(digits):
    X = digits[0]
    detector = quick().fit(X)
    noise = np.random.default_rng(0).permuted(X[:100], axis=1)
    new = np.vstack([digits[1], noise])
    rejected = detector.reject(new, alpha=0.1, method="bh")
    assert rejected[-100:].mean() > 0.9
    assert rejected[:-100].sum() / rejected.sum() < 0.25
    assert detector.reject(digits[1], alpha=0.1, method="bh").mean() < 0.05
    p = detector.p_values(new)
    order = np.sort(p)
    largest = max(i for i in range(len(p)) if order[i] <= 0.1 * (i + 1) / len(p))
    assert_array_equal(rejected, p <= order[largest])


@pytest.mark.filterwarnings("error:With")
def test_too_few_rows_for_an_alarm_are_said():
    X = np.random.RandomState(0).normal(size=(40, 3))
    with pytest.warns(UserWarning, match="10 rows held out.* 19 rows or more"):
        detector = quick().fit(X)
    assert detector.offset_ == -np.inf
    assert_array_equal(detector.predict(100 * X), 1)
    with pytest.warns(UserWarning, match="alpha=0.01 .* 99 rows or more"):
        assert not detector.reject(X, alpha=0.01).any()
    quick(contamination=0.1).fit(X)
    quick().fit(X, X_val=np.random.RandomState(1).normal(size=(19, 3)))


@every_score
def test_rows_are_ranked_even_if_none_can_be_an_outlier(score, digits):
    X, X_new = digits
    detector = quick(score).fit(X[:40])
    assert detector.offset_ == -np.inf
    decision = detector.decision_function(X_new)
    assert (decision > 0).all()
    scores = detector.score_samples(X_new)
    assert_array_equal(np.argsort(decision), np.argsort(scores))
    is_outlier = np.arange(len(X_new)) % 2
    assert roc_auc_score(is_outlier, decision) == roc_auc_score(is_outlier, scores)


@every_score
def test_contamination_is_the_share_of_rows_of_fit(score, digits):
    X = digits[0]
    predicted = quick(score, contamination=0.07).fit_predict(X)
    assert (predicted == -1).mean() == pytest.approx(0.07)


@every_score
def test_copies_stay_on_one_side(score, digits):
    X, frozen = digits[0][:300], AutoencoderTransformer(2, max_epochs=2)
    frozen = FrozenEstimator(frozen.fit(digits[1]))
    copies = np.vstack([X, X[:150], X[:50]])
    weight = np.ones(300)
    weight[:150] += 1
    weight[:50] += 1
    detector = quick(score, frozen).fit(copies)
    # They count as one row, with the weight of all.
    n_held_out = 300 if score == "error" else 75
    assert len(detector.calibration_scores_) == n_held_out
    weighted = quick(score, frozen).fit(X, sample_weight=weight)
    for name in ("calibration_scores_", "calibration_weights_", "offset_"):
        assert_allclose(getattr(weighted, name), getattr(detector, name))
    assert_allclose(
        weighted.score_samples(digits[1]), detector.score_samples(digits[1])
    )


def scaled(autoencoder):
    return make_pipeline(StandardScaler(), autoencoder)


@pytest.mark.parametrize("scaling", [scaled, lambda each: each])
@every_score
def test_units_are_no_matter_in_front_of_a_scaler(score, scaling):
    X = load_wine().data
    model = scaling(TableAutoencoder(2, max_epochs=2))
    for far in (X + 1e10, 1e-60 * X, 1e60 * X):
        detector = quick(score, model).fit(far)
        assert len(detector.calibration_scores_) == len(X) // 4
        assert len(np.unique(detector.score_samples(far))) > 170


@every_score
def test_two_different_rows_are_enough(score, digits):
    X = digits[0]
    detector = quick(score).fit(np.repeat(X[:2], 20, axis=0))
    assert np.isfinite(detector.score_samples(X)).all()
    constant = quick(score).fit(np.repeat(X[:1], 20, axis=0), X_val=X)
    assert np.isfinite(constant.p_values(X)).all()


def test_weight_zero_leaves_a_row_out(digits):
    X = digits[0][:200]
    weight = np.repeat([1.0, 0.0], 100)
    weighted = quick().fit(np.vstack([X[:100], 9 * X[:100]]), sample_weight=weight)
    assert_array_equal(weighted.score_samples(X), quick().fit(X[:100]).score_samples(X))


def test_steps_that_request_weights_get_them(digits):
    X = digits[0][:300]
    weight = np.arange(len(X)) % 3.0
    rows, copies = np.flatnonzero(weight), weight[weight > 0].astype(int)
    plain = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=2))
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        inside = make_pipeline(scaler, AutoencoderTransformer(2, max_epochs=2))
        weighted = quick(autoencoder=inside).fit(X, sample_weight=weight)
    repeated = quick(autoencoder=plain).fit(X[np.repeat(rows, copies)])
    found, expected = weighted.autoencoder_[0], repeated.autoencoder_[0]
    assert_allclose(found.mean_, expected.mean_)
    assert_allclose(found.var_, expected.var_)


def test_groups_stay_on_one_side():
    # Rows of a group are nearly copies, so its rows would be neighbours of its others.
    rng = np.random.RandomState(0)
    centres = rng.normal(size=(100, 5))
    groups = np.repeat(np.arange(100), 6)
    X = centres[groups] + 0.01 * rng.normal(size=(600, 5))
    apart = quick(n_neighbors=2).fit(X, groups=groups).calibration_scores_
    assert len(apart) % 6 == 0
    mixed = quick(n_neighbors=2).fit(X).calibration_scores_
    assert (apart > -0.1).mean() < 0.3
    assert (mixed > -0.1).mean() > 0.7
    with pytest.raises(ValueError, match="groups has only one group"):
        quick().fit(X, groups=np.zeros(600))


def test_rows_to_calibrate_on_can_be_given(digits):
    X, X_val = digits[0], digits[1][:200]
    detector = quick().fit(X, X_val=X_val)
    assert len(detector.calibration_scores_) == 200
    assert_allclose(
        np.sort(detector.score_samples(X_val)), detector.calibration_scores_
    )


def test_epochs_are_not_chosen_where_none_are_to_be(digits):
    model = AutoencoderTransformer(2, max_epochs=2, validation_fraction=None)
    detector = quick(autoencoder=model).fit(digits[0])
    assert detector.autoencoder_.validation_loss_curve_ == []
    assert len(detector.calibration_scores_) == 100


# Scores


def test_neighbors_are_those_of_codes_and_residuals(digits):
    X, X_new = digits
    frozen = FrozenEstimator(AutoencoderTransformer(3, max_epochs=3).fit(X_new))
    detector = quick(autoencoder=frozen, n_neighbors=4).fit(X)
    model = frozen.estimator
    vectors = detector._state["vectors"]
    assert vectors.shape == (900, 3 + 64)
    assert_allclose(vectors[:, :3].std(axis=0), 1, rtol=1e-3)
    assert_allclose(np.square(vectors[:, 3:]).sum(axis=1).mean(), 1, rtol=1e-3)
    new = np.hstack([model.transform(X_new), X_new - model.reconstruct(X_new)])
    new /= detector._state["scale"]
    distance, _ = NearestNeighbors(n_neighbors=4).fit(vectors).kneighbors(new)
    assert_allclose(detector.score_samples(X_new), -distance[:, -1], rtol=1e-4)


def test_a_training_row_is_no_neighbour_of_its_own(digits):
    X = digits[0]
    detector = quick(n_neighbors=1).fit(X)
    scores = detector.score_samples(X)
    assert (scores < -0.01).all()
    # Those of training rows and of others are alike.
    ratio = np.median(scores) / np.median(detector.calibration_scores_)
    assert 0.75 < ratio < 1.25


def test_errors_are_those_of_the_autoencoder(digits):
    detector = quick("error").fit(digits[0])
    assert_array_equal(
        detector.score_samples(digits[1]),
        -detector.autoencoder_.reconstruction_error(digits[1]),
    )


def test_the_density_is_that_of_a_linear_gaussian():
    # Where codes are normal and errors, too, the score is the log-density, but for
    # constants: the order of the rows is that of their true density.
    rng = np.random.RandomState(0)
    axes = np.linalg.qr(rng.normal(size=(8, 2)))[0].T
    codes, noise = rng.normal(size=(6000, 2)), 0.2 * rng.normal(size=(6000, 8))
    codes *= [3, 1]
    X = codes @ axes + noise
    detector = quick("density").fit(X[:5000])
    covariance = axes.T @ np.diag([9, 1]) @ axes + 0.04 * np.eye(8)
    new = X[5000:]
    truth = -0.5 * np.einsum("ij,jk,ik->i", new, np.linalg.inv(covariance), new)
    assert np.corrcoef(truth, detector.score_samples(new))[0, 1] > 0.95


@every_score
def test_outliers_are_found(score):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit(X[y == 1]).transform(X)
    train, benign, malignant = X[y == 1][:250], X[y == 1][250:], X[y == 0]
    detector = AutoencoderOutlierDetector(outlier_score=score, random_state=0)
    detector.fit(train)
    is_outlier = np.repeat([0, 1], [len(benign), len(malignant)])
    scores = detector.score_samples(np.vstack([benign, malignant]))
    assert roc_auc_score(is_outlier, -scores) > 0.85
    assert (detector.predict(malignant) == -1).mean() > 0.25


@every_score
def test_one_row_at_a_time_is_scored_as_all_are(score, digits):
    detector = quick(score).fit(digits[0])
    X = digits[1][:9]
    each = [detector.score_samples(X[[i]])[0] for i in range(len(X))]
    assert_allclose(each, detector.score_samples(X), rtol=1e-6)


def test_densities_of_a_row_are_the_same_to_the_bit(digits):
    X, X_new = digits
    detector = quick("density", AutoencoderTransformer(9, max_epochs=1)).fit(X)
    each = [detector.score_samples(X_new[i : i + 1])[0] for i in range(40)]
    assert_array_equal(each, detector.score_samples(X_new[:40]))


def test_default_code_holds_most_of_the_variance(digits):
    X = digits[0]
    detector = AutoencoderOutlierDetector(random_state=0, contamination=0.1)
    detector.fit(X[:400])
    expected = PCA(0.7).fit(X[:400]).n_components_
    assert abs(detector.autoencoder_.n_components_ - expected) <= 1


@every_score
def test_same_seed_same_bits_and_no_global_state(score, digits):
    X = digits[0][:300]
    before = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    first = quick(score).fit(X)
    second = quick(score).fit(X)
    assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert first.offset_ == second.offset_
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert_array_equal(before[0], after[0])
    assert_array_equal(before[1], after[1])
    assert before[2] == after[2]


# What it takes


def test_pipelines_and_searches():
    X, y = load_breast_cancer(return_X_y=True)
    inside = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=3))
    detector = quick(autoencoder=inside).fit(X[y == 1])
    # The scaler has seen training rows alone.
    n_learned = (y == 1).sum() - len(detector.calibration_scores_)
    assert detector.autoencoder_[0].n_samples_seen_ == n_learned
    outside = make_pipeline(StandardScaler(), quick()).fit(X[y == 1])
    assert (outside.predict(X[y == 0]) == -1).mean() > 0.5
    labels = np.where(y == 0, -1, 1)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"autoencoderoutlierdetector__outlier_score": ["neighbors", "error"]},
        scoring="roc_auc",
        cv=2,
    ).fit(X, labels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_frozen_autoencoder_stays_as_it_is(digits):
    X, X_new = digits
    model = AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(X)
    detector = quick("error", FrozenEstimator(model)).fit(X_new)
    assert detector.autoencoder_.estimator is model
    # Nothing is learned, so all rows calibrate.
    assert len(detector.calibration_scores_) == len(X_new)
    assert_allclose(
        detector.calibration_scores_, np.sort(-model.reconstruction_error(X_new))
    )
    pipeline = FrozenEstimator(make_pipeline(StandardScaler(), model).fit(X))
    assert len(quick("density", pipeline).fit(X_new).calibration_scores_) == 100


@pytest.fixture(scope="module")
def table():
    """The wines, with names and gaps."""
    frame = load_wine(as_frame=True).frame.drop(columns="proline")
    names = {0: "Barolo", 1: "Grignolino", 2: "Barbera"}
    frame["target"] = frame["target"].map(names).astype("category")
    frame.loc[::5, "alcohol"] = np.nan
    frame.loc[::7, "target"] = None
    return frame


@every_score
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_as_they_are(score, library, table):
    X = table if library == "pandas" else pl.from_pandas(table)
    detector = quick(score, TableAutoencoder(2, max_epochs=5)).fit(X)
    strange = table.iloc[[1]].assign(alcohol=30.0)
    strange = strange if library == "pandas" else pl.from_pandas(strange)
    assert detector.score_samples(strange)[0] < detector.calibration_scores_[0]
    contributions = detector.explain(strange)
    assert type(contributions).__module__.startswith(library)
    assert list(contributions.columns) == list(table.columns)
    values = np.asarray(contributions)[0]
    assert np.argmax(values) == list(table.columns).index("alcohol")
    assert np.isnan(detector.explain(X)["alcohol"].to_numpy()[::5]).all()
    assert np.isfinite(detector.score_samples(X)).all()


@every_score
def test_rows_with_gaps(score, digits):
    rng = np.random.RandomState(0)
    X, X_new = (x[:, 8:56].copy() for x in digits)
    for each in (X, X_new):
        each[rng.uniform(size=each.shape) < 0.1] = np.nan
    detector = quick(score).fit(X)
    p = detector.p_values(X_new)
    assert 0.01 < (p <= 0.05).mean() < 0.15
    empty = np.full((1, 48), np.nan)
    assert np.isfinite(detector.score_samples(empty)).all()


@every_score
def test_images_and_series(score, digits):
    images = digits[0][:200].reshape(-1, 8, 8)
    model = ConvAutoencoder(2, max_epochs=1)
    detector = quick(score, model).fit(images)
    assert detector.n_features_in_ == 64
    assert detector.score_samples(images[:3]).shape == (3,)
    assert detector.explain(images[:3]).shape == (3, 8, 8)
    for rows in (digits[0][:200], csr_array(digits[0][:200])):  # flattened images
        assert quick(score, model).fit(rows).score_samples(rows).shape == (200,)
    lengths = np.random.RandomState(0).randint(3, 9, size=100)
    series = [image[:length] for image, length in zip(images, lengths, strict=False)]
    detector = quick(score, RecurrentAutoencoder(2, max_epochs=1)).fit(series)
    assert np.isfinite(detector.score_samples(series[:5])).all()
    assert detector.explain(series[:5]).shape == (5, 8, 8)


@every_score
def test_other_forms_of_rows(score, digits):
    X = digits[0][:200]
    expected = quick(score).fit(X).score_samples(X)
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    for rows in (torch.tensor(X), X.tolist(), frame, csr_array(X)):
        scores = quick(score).fit(rows).score_samples(rows)
        if not isinstance(rows, csr_array):  # other rows are held out
            assert_allclose(scores, expected, rtol=1e-6)
        assert np.isfinite(scores).all()


def test_variational_autoencoders(digits):
    detector = quick(autoencoder=VariationalAutoencoder(2, max_epochs=2))
    detector.fit(digits[0][:200])
    assert_array_equal(
        detector.score_samples(digits[1]), detector.score_samples(digits[1])
    )


def test_memory_mapped_rows(tmp_path, monkeypatch, digits):
    import skae.training._streaming as streaming

    X = digits[0].astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(streaming, "DENSE_BYTES", X.nbytes // 2)
    for score in SCORES:
        detector = quick(score).fit(mapped)
        assert len(detector.calibration_scores_) == 100
        assert np.isfinite(detector.score_samples(mapped)).all()


@every_score
def test_pickles_and_clones(score, digits):
    detector = quick(score).fit(digits[0][:200])
    for again in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        assert_array_equal(
            again.score_samples(digits[1]), detector.score_samples(digits[1])
        )
    assert not hasattr(clone(detector), "offset_")


@every_score
def test_files(score, digits, tmp_path, table):
    pytest.importorskip("safetensors")
    X = digits[0][:200]
    scaled = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=1))
    mixed = TableAutoencoder(2, max_epochs=1)
    for autoencoder, rows in ((None, X), (scaled, X), (mixed, table)):
        detector = quick(score, autoencoder).fit(rows)
        save(detector, tmp_path / "detector.skae")
        again = load(tmp_path / "detector.skae")
        assert_array_equal(again.p_values(rows), detector.p_values(rows))
        assert_array_equal(
            again.decision_function(rows), detector.decision_function(rows)
        )
        assert_array_equal(again.explain(rows), detector.explain(rows))
    detector._column_errors = detector._column_errors[:-1]
    with pytest.raises(FileError, match="column errors"):
        save(detector, tmp_path / "detector.skae")


def test_arrays_of_a_file_fit_each_other(digits, tmp_path):
    pytest.importorskip("safetensors")
    for score, name in (("neighbors", "scale"), ("density", "means")):
        detector = quick(score).fit(digits[0][:200])
        detector._state[name] = detector._state[name][..., :-1]
        with pytest.raises(FileError, match=f"shape of {name}"):
            save(detector, tmp_path / "detector.skae")


@pytest.mark.parametrize("score", ["error", "density"])
def test_onnx(score, digits):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, X_new = (x.astype(np.float32) for x in digits)
    # A convolutional one fills no gaps, so its export is quick.
    model = ConvAutoencoder(2, max_epochs=1, image_shape=(8, 8))
    detector = quick(score, model).fit(X)
    for method in ("score_samples", "decision_function", "predict"):
        onnx_model = to_onnx(detector, method=method)
        session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
        (found,) = session.run(None, {"X": X_new})
        expected = getattr(detector, method)(X_new)
        tolerance = 1e-3 if score == "density" else 1e-6  # float32 against float64
        assert_allclose(found, expected, rtol=1e-3, atol=tolerance)
    # The score of a row of `fit` is the threshold.
    (found,) = session.run(None, {"X": X})
    assert_array_equal(found, detector.predict(X))


@pytest.mark.parametrize("n_rows", [40, 400])
def test_onnx_of_pipelines(n_rows, digits):
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, X_new = (x.astype(np.float32) for x in digits)
    model = ConvAutoencoder(2, max_epochs=1, image_shape=(8, 8))
    pipeline = make_pipeline(MinMaxScaler(), quick("error", model)).fit(X[:n_rows])
    register_onnx_converters()
    onnx_model = skl2onnx.to_onnx(pipeline, X[:1])
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    for rows in (X_new, X_new[:1]):
        labels, decision = session.run(None, {"X": rows})
        assert_array_equal(labels[:, 0], pipeline.predict(rows))
        assert_allclose(decision[:, 0], pipeline.decision_function(rows), atol=1e-4)


def test_what_onnx_cannot_hold(digits):
    X = digits[0][:200]
    with pytest.raises(ValueError, match="ONNX models cannot search neighbours"):
        to_onnx(quick().fit(X), method="predict")
    scaled = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=1))
    with pytest.raises(ValueError, match="Put the other steps before the detector"):
        to_onnx(quick("error", scaled).fit(X), method="predict")
    with pytest.raises(ValueError, match="score_samples, decision_function, predict"):
        to_onnx(quick("error").fit(X))
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    with pytest.raises(ValueError, match="ONNX models cannot search neighbours"):
        skl2onnx.to_onnx(make_pipeline(StandardScaler(), quick()).fit(X), X[:1])


# Explanations


def test_columns_that_make_a_row_an_outlier():
    wine = load_wine(as_frame=True).data
    inside = make_pipeline(StandardScaler(), AutoencoderTransformer(3, max_epochs=5))
    detector = quick(autoencoder=inside).fit(wine)
    row = wine.iloc[[3]].copy()
    row["ash"] = 20.0
    contributions = detector.explain(row)
    assert contributions.index[0] == row.index[0]
    assert contributions.iloc[0].idxmax() == "ash"
    mean = np.asarray(detector.explain(wine)).mean(axis=0)
    assert (mean < 3).all()


# Errors


def test_what_is_no_autoencoder(curved):
    for other in (
        PCA(2),
        GridSearchCV(AutoencoderTransformer(), {"n_components": [1]}),
    ):
        with pytest.raises(ValueError, match="must be an autoencoder of skae"):
            AutoencoderOutlierDetector(other).fit(curved)
    last = make_pipeline(AutoencoderTransformer(), FunctionTransformer())
    with pytest.raises(ValueError, match="must be an autoencoder of skae"):
        AutoencoderOutlierDetector(last).fit(curved)


def test_wrong_parameters(curved):
    for wrong in (0.0, 0.7, "often"):
        with pytest.raises(ValueError, match="'contamination' parameter"):
            quick(contamination=wrong).fit(curved)
    with pytest.raises(ValueError, match="'outlier_score' parameter"):
        quick("distance").fit(curved)
    detector = quick().fit(curved)
    for wrong in (0, 1, 5, "small", True):
        with pytest.raises(ValueError, match=r"alpha must be .* \(0, 1\)"):
            detector.reject(curved, alpha=wrong)
    with pytest.raises(ValueError, match="method must be None or 'bh'"):
        detector.reject(curved, method="holm")


def test_rows_that_it_cannot_take(curved):
    with pytest.raises(ValueError, match="All 50 rows of X are the same"):
        quick().fit(np.ones((50, 3)))
    detector = quick().fit(curved)
    before = detector.offset_
    with pytest.raises(ValueError, match="expecting 6 features"):
        detector.predict(curved[:, :4])
    with pytest.raises(ValueError, match="All 9 rows of X are the same"):
        detector.fit(np.ones((9, 3)))
    assert detector.offset_ == before
    images = curved.reshape(400, 2, 3)
    images[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick(autoencoder=ConvAutoencoder(2, max_epochs=1)).fit(images)
