"""Tensors, masked arrays, and rows in cells, in every estimator and method."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    AutoencoderOutlierDetector,
    AutoencoderSampler,
    AutoencoderTransformer,
    ConvAutoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
    RecurrentAutoencoder,
)
from skae.training import _streaming

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
METHODS = ("transform", "reconstruct", "reconstruction_error", "score_samples", "score")


def rows(n=120, width=6):
    return np.random.RandomState(0).normal(size=(n, width)).astype(np.float32)


# Tensors


def tensors():
    """Tensors of one table, and the array that each of them is."""
    X = torch.as_tensor(rows())
    beside = torch.zeros(120, 12)
    beside[:, ::2] = X
    return {
        "float32": (X, X.numpy()),
        "float64": (X.double(), X.double().numpy()),
        "with a gradient": (X.clone().requires_grad_(), X.numpy()),
        "with gaps": (beside[:, ::2], X.numpy()),
        "transposed": (X.T.contiguous().T, X.numpy()),
        "negative view": (torch._neg_view(-X), X.numpy()),
        "bfloat16": (X.bfloat16(), X.bfloat16().float().numpy()),
        "int64": ((10 * X).long(), (10 * X).long().numpy()),
        "bool": (X > 0, (X > 0).numpy()),
    }


@every_estimator
@pytest.mark.parametrize("dispatch", [False, True])
def test_tensors_are_as_arrays(estimator, dispatch):
    if dispatch:  # scikit-learn asks for it
        pytest.importorskip("scipy", minversion="1.14")
    X = torch.as_tensor(rows()).requires_grad_()
    array, weight = X.detach().numpy(), torch.linspace(1, 2, 120)
    expected = quick(estimator).fit(
        array, sample_weight=weight.numpy(), X_val=array + 0.25
    )
    with config_context(array_api_dispatch=dispatch):
        model = quick(estimator).fit(X, sample_weight=weight, X_val=X + 0.25)
        for method in METHODS:
            given, wanted = getattr(model, method)(X), getattr(expected, method)(array)
            assert_array_equal(given, wanted)
            assert np.asarray(given).dtype == np.asarray(wanted).dtype
        codes = expected.transform(array)
        assert_array_equal(
            model.inverse_transform(torch.as_tensor(codes)),
            expected.inverse_transform(codes),
        )
        assert model.score(X, sample_weight=weight) == expected.score(
            array, sample_weight=weight.numpy()
        )
        model.partial_fit(X, sample_weight=weight)
        piped = make_pipeline(StandardScaler(), quick(estimator)).fit(X.detach())
        assert piped.transform(X.detach()).shape == codes.shape


@pytest.mark.parametrize("kind", tensors())
def test_kinds_of_tensors(kind):
    tensor, array = tensors()[kind]
    expected = quick(AutoencoderTransformer).fit(array).transform(array)
    codes = quick(AutoencoderTransformer).fit(tensor).transform(tensor)
    assert_array_equal(codes, expected)
    assert codes.dtype == expected.dtype
    sampler = AutoencoderSampler(quick(AutoencoderTransformer), random_state=0)
    assert sampler.fit(tensor).sample(3).shape == (3, 6)


def test_sparse_tensors():
    with pytest.raises(ValueError, match=r"layout torch.sparse_coo.*X.to_dense"):
        quick(AutoencoderTransformer).fit(torch.eye(10).to_sparse())


# Frames


NAMES = ["dtype", "shape", "index", "values", "T", "ndim"]


@every_estimator
@pytest.mark.parametrize("large", [False, True])
def test_tables_of_other_libraries(estimator, large, monkeypatch):
    X = rows()
    frame = pd.DataFrame(X, columns=NAMES)
    expected = quick(estimator).fit(X).transform(X)
    if large:
        monkeypatch.setattr(_streaming, "DENSE_BYTES", 1_000)
    for table in (
        frame,
        frame.astype("Float32"),
        pl.DataFrame(X, schema=NAMES),
        torch.as_tensor(X),
    ):
        codes = quick(estimator).fit(table).transform(table)
        assert codes.shape == expected.shape
        if not large:  # where the start is of another sample of the rows
            np.testing.assert_allclose(codes, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["a", "b"] * 60),
        ["a", "b"] * 60,
        pd.date_range("2020", periods=120),
    ],
    ids=["category", "texts", "dates"],
)
def test_columns_that_hold_no_numbers(values):
    frame = pd.DataFrame(rows(), columns=NAMES).assign(T=values)
    with pytest.raises(ValueError, match=r"Column 'T' of X.*TableEncoder"):
        quick(AutoencoderTransformer).fit(frame)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_lists(layout):
    X = [np.random.RandomState(n).normal(size=(n, 2)) for n in range(2, 9)]
    model = quick(RecurrentAutoencoder).fit(X)
    nested = torch.nested.nested_tensor([torch.as_tensor(x) for x in X], layout=layout)
    assert_array_equal(model.transform(nested), model.transform(X))
    again = quick(RecurrentAutoencoder).fit(nested)
    assert_array_equal(again.transform(X), model.transform(X))


def test_hard_masks_keep_results_out():
    X = rows()
    model = quick(AutoencoderTransformer).fit(X)
    out = np.ma.masked_all((120, 2), dtype=np.float32)
    out.harden_mask()
    with pytest.raises(ValueError, match="results under the mask would be lost"):
        model.transform(X, out=out)
    out.soften_mask()
    assert_array_equal(model.transform(X, out=out), model.transform(X))


# What is no table


@every_estimator
@pytest.mark.parametrize(
    "X, message",
    [
        (pl.DataFrame({"a": [1.0, 2.0]}).lazy(), r"Pass X.collect\(\)"),
        ({"a": [1.0, 2.0]}, r"Pass pandas.DataFrame\(X\)"),
        ((row for row in rows()), r"Pass list\(X\)"),
        ("rows.csv", "Got 'rows.csv', of type str"),
        (None, "Got None"),
    ],
)
def test_what_is_no_table(estimator, X, message):
    with pytest.raises(TypeError, match=message):
        quick(estimator).fit(X)
    with pytest.raises(TypeError, match=message):
        AutoencoderSampler(quick(estimator)).fit(X)
    with pytest.raises(TypeError, match=message):
        AutoencoderOutlierDetector(quick(estimator)).fit(X)


def test_validation_rows_that_are_no_table():
    with pytest.raises(TypeError, match=r"X_val must be an array, a DataFrame"):
        AutoencoderTransformer(2).fit(rows(), X_val="rows.csv")


@pytest.mark.parametrize("estimator", [ConvAutoencoder, RecurrentAutoencoder])
@pytest.mark.parametrize("sparse", [False, True])
def test_too_many_axes(estimator, sparse):
    X = np.ones((12, 2, 2, 2, 2))
    if sparse:
        X = scipy.sparse.coo_array(X[..., 0, 0])
    with pytest.raises(ValueError, match=r"X must be an array of .* Pass X.reshape"):
        quick(estimator).fit(X)


def test_complex_series():
    with pytest.raises(ValueError, match=r"Complex data not supported\. Pass real"):
        RecurrentAutoencoder(2).fit([np.ones((n, 1)) * 1j for n in (2, 3)])


# Masked arrays


@every_estimator
def test_masked_rows(estimator):
    X = rows()
    masked = np.ma.array(X, mask=X > 1)
    same = np.ma.array(X, mask=np.zeros_like(X))
    model = quick(estimator).fit(same)
    assert_array_equal(model.transform(same), quick(estimator).fit(X).transform(X))
    weight = np.ma.array(np.ones(120), mask=X[:, 0] > 1)
    for fitted in (model.fit, model.partial_fit, model.score):
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            fitted(X, sample_weight=weight)
    if estimator._fills_gaps:
        assert_array_equal(
            quick(estimator).fit(masked).transform(masked),
            quick(estimator).fit(masked.filled(np.nan)).transform(masked),
        )
        return
    match = "contains NaN" if estimator is RecurrentAutoencoder else "masked"
    for method in METHODS:
        with pytest.raises(ValueError, match=match):
            getattr(model, method)(masked)
    with pytest.raises(ValueError, match=match):
        quick(estimator).fit(masked)
    with pytest.raises(ValueError, match=match):
        model.partial_fit(masked)
    with pytest.raises(ValueError, match=match):
        quick(estimator).fit(X, X_val=masked)


@pytest.mark.parametrize("estimator", [PretrainedClassifier, PretrainedRegressor])
def test_masked_rows_of_pretrained_estimators(estimator):
    X, y = rows(), np.arange(120) % 2
    masked = np.ma.array(X, mask=X > 1)
    model = estimator(quick(AutoencoderTransformer), max_epochs=1, random_state=0)
    codes = model.fit(masked, y).transform(masked)
    assert_array_equal(model.fit(masked.filled(np.nan), y).transform(masked), codes)


def test_masked_rows_are_refused_by_the_sampler():
    X = rows()
    model = AutoencoderSampler(quick(AutoencoderTransformer))
    with pytest.raises(ValueError, match="X is a masked array with"):
        model.fit(np.ma.array(X, mask=X > 1))


def test_masks_end_series():
    X = np.random.RandomState(0).normal(size=(120, 6, 2))
    n_steps = np.random.RandomState(1).randint(2, 7, size=120)
    ended = np.repeat((np.arange(6) >= n_steps[:, None])[:, :, None], 2, axis=2)
    masked = np.ma.array(np.where(ended, 1e3, X), mask=ended)
    filled = np.where(ended, np.nan, X)
    model = quick(RecurrentAutoencoder, hidden_size=4).fit(masked)
    expected = quick(RecurrentAutoencoder, hidden_size=4).fit(filled)
    for method in METHODS:
        wanted = getattr(expected, method)(filled)
        assert_array_equal(getattr(model, method)(masked), wanted)
        assert_array_equal(getattr(model, method)(list(masked)), wanted)
    table = quick(RecurrentAutoencoder, hidden_size=4, series_shape=(6, 2))
    assert_array_equal(
        table.fit(masked.reshape(120, 12)).transform(masked.reshape(120, 12)),
        expected.transform(filled),
    )


# Rows in cells


def boxed(arrays):
    cells = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        cells[i] = array
    return cells


BOXES = {
    "array": boxed,
    "series": lambda arrays: pd.Series(list(arrays)),
    "frame": lambda arrays: pd.DataFrame({"signal": list(arrays)}),
    "polars": lambda arrays: pl.Series([array.tolist() for array in arrays]),
    "polars frame": lambda arrays: pl.DataFrame(
        {"signal": [a.tolist() for a in arrays]}
    ),
    "lists": lambda arrays: [array.tolist() for array in arrays],
    "tensors": lambda arrays: [torch.as_tensor(array) for array in arrays],
    "frames": lambda arrays: [pd.DataFrame(array) for array in arrays],
}


@pytest.mark.parametrize("box", BOXES)
def test_series_in_cells(box):
    rng = np.random.RandomState(0)
    series = [rng.normal(size=(n, 2)) for n in rng.randint(3, 7, size=120)]
    others = [each + 0.25 for each in series]
    X, X_val = BOXES[box](series), BOXES[box](others)
    expected = quick(RecurrentAutoencoder, hidden_size=4).fit(series, X_val=others)
    model = quick(RecurrentAutoencoder, hidden_size=4).fit(X, X_val=X_val)
    for method in METHODS:
        assert_array_equal(getattr(model, method)(X), getattr(expected, method)(series))
    if box != "lists":
        skae.diagnose(model, X)


@pytest.mark.parametrize("box", BOXES)
def test_series_of_one_axis_in_cells(box):
    X = BOXES[box]([np.ones(4), np.ones(3)] * 30)
    if box == "frames":
        X = [pd.Series(each[0]) for each in X]
    with pytest.raises(
        ValueError, match=r"of shape \(steps,\), of unequal length: pass"
    ):
        quick(RecurrentAutoencoder).fit(X)


@pytest.mark.parametrize("series", [[None], [np.ones((3, 1))], [[[1.0, 2.0], [3.0]]]])
def test_series_of_other_shapes(series):
    with pytest.raises(ValueError, match=r"must be of shape \(steps, channels\)"):
        quick(RecurrentAutoencoder).fit(pd.Series([np.ones((3, 2))] * 20 + series))


@pytest.mark.parametrize("box", BOXES)
def test_images_in_cells(box):
    images = np.random.RandomState(0).normal(size=(60, 5, 5))
    X = BOXES[box](images)
    model = quick(ConvAutoencoder, init="random").fit(X)
    assert model.image_shape_ == (5, 5)
    assert model.reconstruct(X).shape == images.shape


def test_images_of_several_sizes():
    with pytest.raises(ValueError, match=r"the same shape.*\(4, 5\), \(5, 5\)"):
        quick(ConvAutoencoder).fit([np.ones((5, 5)), np.ones((4, 5))])


@pytest.mark.parametrize("estimator", [ConvAutoencoder, AutoencoderTransformer])
def test_flat_rows_in_cells(estimator):
    X = rows().astype(float)
    model = quick(estimator).fit(boxed(X))
    assert_array_equal(model.transform(pd.Series(list(X))), model.transform(X))


def test_a_frame_of_series_that_end():
    X = rows(width=4).astype(float)
    X[::2, 3] = np.nan
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = quick(RecurrentAutoencoder, series_shape=(4, 1), hidden_size=4).fit(frame)
    array = quick(RecurrentAutoencoder, series_shape=(4, 1), hidden_size=4).fit(X)
    assert model.score(frame) == array.score(X)
