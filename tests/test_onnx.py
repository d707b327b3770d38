"""`skae.to_onnx`: the same numbers under another runtime."""

import sys

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from modules_for_tests import Own
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

import skae

pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare")

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)


def run(model, X):
    session = onnxruntime.InferenceSession(model)
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert given.name == "X" and given.type == "tensor(float)"
    assert result.name == "output"
    return session.run(None, {"X": X})[0]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_autoencoders(estimator, method, curved, tmp_path):
    X = curved.astype(np.float32)
    model = quick(estimator).fit(X)
    if method == "score_samples" and model.net_.logarithmic_loss:
        with pytest.raises(ValueError, match="averages over random draws"):
            skae.to_onnx(model, method=method)
        return
    proto = skae.to_onnx(model, tmp_path / "model.onnx", method)
    assert proto.opset_import[0].version == 18
    for n_rows in (1, 3, 400):
        expected = getattr(model, method)(X[:n_rows])
        found = run(tmp_path / "model.onnx", X[:n_rows])
        assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {"output": "hidden"},
        {"output": "reconstruction", "tied_weights": True},
        {"loss": "binary_cross_entropy"},
        {"loss": "huber"},
        {"module": Own},
    ],
)
def test_parameters(params, curved):
    X = curved.astype(np.float32) / 8 + 0.5
    model = quick(skae.AutoencoderTransformer, **params).fit(X)
    for method in ("transform", "score_samples"):
        proto = skae.to_onnx(model, method=method)
        found = run(proto.SerializeToString(), X)
        assert_allclose(found, getattr(model, method)(X), atol=1e-5)


@pytest.mark.parametrize(
    "estimator", [skae.PretrainedClassifier, skae.PretrainedRegressor]
)
def test_codes_of_classifier_and_regressor(estimator, curved):
    X = curved.astype(np.float32)
    pretrainer = quick(skae.AutoencoderTransformer)
    model = estimator(pretrainer, max_epochs=2, random_state=0)
    model.fit(X, (X[:, 0] > 0).astype(int))
    found = run(skae.to_onnx(model).SerializeToString(), X)
    assert_allclose(found, model.transform(X), atol=1e-5)
    with pytest.raises(ValueError, match=r"has: transform\. Got 'reconstruct'"):
        skae.to_onnx(model, method="reconstruct")


class Strange(Own):
    def encode(self, x):
        return torch.linalg.eigvals(x.T @ x).real[:2].expand(
            len(x), 2
        ) + super().encode(x)


def test_errors(curved, monkeypatch):
    with pytest.raises(ValueError, match="Got StandardScaler"):
        skae.to_onnx(StandardScaler())
    with pytest.raises(NotFittedError):
        skae.to_onnx(skae.AutoencoderTransformer())
    model = quick(skae.AutoencoderTransformer, module=Strange).fit(curved)
    with pytest.raises(ValueError, match="cannot be turned into ONNX"):
        skae.to_onnx(model)
    with pytest.raises(ValueError, match="Got 'predict'"):
        skae.to_onnx(model, method="predict")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        skae.to_onnx(model)
