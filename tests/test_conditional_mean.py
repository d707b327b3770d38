"""The layer that fills gaps with their conditional mean."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae.modules import ConditionalMean

LOADERS = {
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
    "wine": load_wine,
}
N_FEATURES = 6


def gaussian(n_features=N_FEATURES, seed=0):
    """Return the mean and the covariance of a random Gaussian."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features))
    return 3 * rng.normal(size=n_features), mixing @ mixing.T + 0.3 * np.eye(n_features)


def gaps(n_rows=40, n_features=N_FEATURES, seed=1):
    """Return random rows with gaps: none in the first, nothing else in the last."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[0], X[-1] = 1.5, np.nan
    return torch.from_numpy(X)


def layer_of(n_features=N_FEATURES, **params):
    layer = ConditionalMean(n_features, **params)
    layer.set(*gaussian(n_features))
    return layer


def exact(mean, covariance, X):
    """Return the conditional mean, row by row, from the covariance."""
    X = X.copy()
    for row in X:
        gap = np.isnan(row)
        weights = np.linalg.solve(
            covariance[np.ix_(~gap, ~gap)], covariance[np.ix_(~gap, gap)]
        )
        row[gap] = mean[gap] + (row[~gap] - mean[~gap]) @ weights
    return X


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize(("rate", "bound"), [(0.1, 1e-4), (0.5, 1e-2)])
def test_is_close_to_the_exact_conditional_mean(name, rate, bound):
    X = StandardScaler().fit_transform(LOADERS[name]().data)
    mean, covariance = X.mean(axis=0), np.cov(X.T)
    covariance = 0.99 * covariance + 0.01 * np.diag(np.diag(covariance) + 1e-6)
    missing = np.random.default_rng(0).random(X.shape) < rate
    with_gaps = np.where(missing, np.nan, X)
    layer = ConditionalMean(X.shape[1])
    layer.set(mean, covariance)
    found = layer(torch.tensor(with_gaps)).numpy()
    expected = exact(mean, covariance, with_gaps)
    assert rms((found - expected)[missing]) <= bound * rms((expected - X)[missing])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_observed_cells_pass_bit_for_bit(dtype):
    x = gaps().to(dtype)
    filled = layer_of()(x)
    assert filled.dtype == dtype and not filled.isnan().any()
    assert torch.equal(filled[~x.isnan()], x[~x.isnan()])


def test_complete_rows_are_the_same_tensor():
    x = torch.randn(5, N_FEATURES)
    assert layer_of()(x) is x


def test_is_the_identity_until_it_is_set():
    layer, x = ConditionalMean(N_FEATURES), gaps()
    assert not layer.is_set and layer(x) is x and not layer.state_dict()
    layer.set(*gaussian())
    assert layer.is_set and not layer(x).isnan().any()
    layer.clear()
    assert not layer.is_set and layer(x) is x and not layer.state_dict()


def test_row_without_values_becomes_the_mean():
    mean, _ = gaussian()
    x = torch.full((1, N_FEATURES), torch.nan)
    assert_allclose(layer_of()(x)[0], mean, rtol=1e-6)


def test_batch_without_rows():
    assert layer_of()(torch.empty(0, N_FEATURES)).shape == (0, N_FEATURES)


def test_permuting_columns_permutes_the_result():
    mean, covariance = gaussian()
    order = np.random.default_rng(3).permutation(N_FEATURES)
    layer = ConditionalMean(N_FEATURES)
    layer.set(mean[order], covariance[np.ix_(order, order)])
    x = gaps()
    assert_allclose(layer(x[:, order]), layer_of()(x)[:, order], atol=1e-4)


def test_units_of_columns_do_not_matter():
    mean, covariance = gaussian()
    units = 10.0 ** np.arange(-3, N_FEATURES - 3)
    layer = ConditionalMean(N_FEATURES)
    layer.set(mean * units, covariance * np.outer(units, units))
    x = gaps()
    units = torch.tensor(units, dtype=torch.float32)
    assert_allclose(layer(x * units) / units, layer_of()(x), atol=1e-3, rtol=1e-3)


def test_low_rank_equals_dense():
    rng = np.random.default_rng(0)
    mean, loadings = rng.normal(size=20), rng.normal(size=(20, 3))
    noise = rng.uniform(0.2, 1, size=20)
    dense, low_rank = ConditionalMean(20), ConditionalMean(20)
    dense.set(mean, loadings @ loadings.T + np.diag(noise))
    low_rank.set_low_rank(mean, loadings, noise)
    assert low_rank.precision is None
    x = gaps(n_features=20)
    assert_allclose(low_rank(x), dense(x), atol=1e-4)
    assert_allclose(low_rank.covariance(), dense.covariance(), atol=1e-4)


def test_covariance_is_that_which_was_set():
    _, covariance = gaussian()
    assert_allclose(layer_of().covariance(), covariance, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="is the identity until"):
        ConditionalMean(2).covariance()


def low_rank_layer():
    layer = ConditionalMean(N_FEATURES)
    rng = np.random.default_rng(0)
    layer.set_low_rank(
        np.arange(N_FEATURES), rng.normal(size=(N_FEATURES, 2)), np.ones(N_FEATURES)
    )
    return layer


@pytest.mark.parametrize("make", [layer_of, low_rank_layer])
@pytest.mark.parametrize("other", [layer_of, low_rank_layer])
def test_loading_a_state_adopts_its_buffers(make, other):
    source, target = nn.Sequential(make()), nn.Sequential(other())
    target.load_state_dict(source.state_dict())
    x = gaps()
    assert torch.equal(target(x), source(x))
    assert target.state_dict().keys() == source.state_dict().keys()
    source[0].mean += 1  # the tensors are not shared
    assert not torch.equal(target(x), source(x))


@pytest.mark.parametrize("make", [layer_of, low_rank_layer])
def test_loading_a_state_without_buffers_drops_them(make):
    target = nn.Sequential(make())
    target.load_state_dict({})
    x = gaps()
    assert target(x) is x


@pytest.mark.parametrize("make", [layer_of, low_rank_layer])
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies_fill_the_same(make, duplicate):
    layer, x = make(), gaps()
    assert torch.equal(duplicate(layer)(x), layer(x))


def test_copy_that_is_not_set():
    layer = pickle.loads(pickle.dumps(ConditionalMean(N_FEATURES)))
    layer.set(*gaussian())
    assert torch.equal(layer(gaps()), layer_of()(gaps()))


def test_double():
    layer = ConditionalMean(N_FEATURES, n_steps=2 * N_FEATURES).double()
    layer.set(*gaussian())
    x = gaps()[:-1].double()
    assert_allclose(layer(x), exact(*gaussian(), x.numpy()), rtol=1e-9)


def test_autocast_does_not_make_it_less_exact():
    layer, x = layer_of(), gaps()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert torch.equal(found, layer(x))


def test_gradient_of_rows_is_that_of_the_exact_fill():
    layer = ConditionalMean(N_FEATURES, n_steps=2 * N_FEATURES).double()
    layer.set(*gaussian())
    x = torch.zeros(1, N_FEATURES, dtype=torch.float64)
    x[0, 0] = torch.nan
    x.requires_grad_()
    layer(x)[0, 0].backward()
    _, covariance = gaussian()
    expected = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    assert_allclose(x.grad[0, 1:], expected, rtol=1e-6)


@pytest.mark.parametrize("make", [layer_of, low_rank_layer])
def test_export_does_not_depend_on_the_rows_that_it_is_traced_with(make):
    # Inside another module: torch.export mistakes buffers of the outermost one that
    # are None.
    layer, x = nn.Sequential(make()), gaps()
    rows = (torch.zeros(2, N_FEATURES),)
    shapes = ({0: torch.export.Dim("n_samples")},)
    program = torch.export.export(layer, rows, dynamic_shapes=shapes)
    assert_allclose(program.module()(x), layer(x), atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("make", [layer_of, low_rank_layer])
def test_onnx(make):
    pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    layer, x = make(), gaps()
    with torch.no_grad():
        program = torch.onnx.export(
            layer,
            (torch.zeros(2, N_FEATURES),),
            dynamo=True,
            opset_version=18,
            input_names=["X"],
            dynamic_shapes=({0: torch.export.Dim("n_samples")},),
            verbose=False,
        )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for rows in (x, x[:1], x[-1:]):
        (found,) = session.run(None, {"X": rows.numpy()})
        assert_allclose(found, layer(rows), atol=1e-5)


def test_gaussian_of_other_columns():
    layer = ConditionalMean(N_FEATURES + 1)
    with pytest.raises(ValueError, match="must have 7 columns, like the layer"):
        layer.set(*gaussian())
