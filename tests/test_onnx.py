"""`skae.to_onnx`: the same numbers under another runtime."""

import io
import sys

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, OF_NUMBERS, quick
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

import skae
from skae.modules import ConditionalMean

pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare")

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Export less of what fills gaps, which the rows of these tests do not have."""
    monkeypatch.setattr(ConditionalMean.__init__, "__defaults__", (2,))


def run(model, X):
    session = onnxruntime.InferenceSession(model)
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert given.name == "X" and given.type == "tensor(float)"
    assert result.name == "output"
    return session.run(None, {"X": X})[0]


@pytest.mark.parametrize("estimator", OF_NUMBERS)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_autoencoders(estimator, method, curved, tmp_path):
    X = curved.astype(np.float32)
    model = quick(estimator).fit(X)
    if method == "score_samples" and model.net_.objective.logarithmic:
        with pytest.raises(ValueError, match="averages over random draws"):
            skae.to_onnx(model, method=method)
        return
    proto = skae.to_onnx(model, tmp_path / "model.onnx", method)
    assert proto.opset_import[0].version == 18
    expected = getattr(model, method)(X)
    for n_rows in (0, 1, 3, 400):
        found = run(tmp_path / "model.onnx", X[:n_rows])
        assert_allclose(found, expected[:n_rows], atol=1e-5)


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
    with pytest.raises(ValueError, match=r"has: transform, .*predict.*'reconstruct'"):
        skae.to_onnx(model, method="reconstruct")


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_function_of_the_classifier(n_classes, curved):
    X = curved.astype(np.float32)
    y = np.digitize(X[:, 0], [-0.5, 0.5][: n_classes - 1])
    pretrainer = quick(skae.AutoencoderTransformer)
    model = skae.PretrainedClassifier(pretrainer, max_epochs=2, random_state=0)
    model.fit(X, y)
    converted = skae.to_onnx(model, method="decision_function")
    found = run(converted.SerializeToString(), X)
    assert_allclose(found, model.decision_function(X), atol=1e-5)


@pytest.fixture
def labelled(curved):
    """Rows with three classes, and two targets."""
    place = curved[:, 0]
    return curved.astype(np.float32), np.digitize(place, [-0.5, 0.5]), curved[:, :2]


def assert_same_labels(found, model, X):
    """Compare labels of the first rows of `X`, but where a rounding may decide."""
    probabilities = np.sort(model.predict_proba(X), axis=1)
    sure = probabilities[:, -1] - probabilities[:, -2] > 1e-4
    assert sure.mean() > 0.9
    sure = np.flatnonzero(sure[: len(found)])
    assert_array_equal(found[sure], model.predict(X)[sure])


def pretrained(estimator):
    return estimator(quick(skae.AutoencoderTransformer), max_epochs=5, random_state=0)


CLASSES = [
    [3, 5, 8],
    ["a", "b", "c"],
    [1.0, 2.0, 4.0],
    [False, True, True],
    np.array([3, 5, 8], dtype=np.uint8),
    np.array(["a", "b", "a"], dtype=object),
]


@pytest.mark.parametrize("classes", CLASSES)
def test_labels_of_the_classifier(classes, labelled):
    X, y, _ = labelled
    model = pretrained(skae.PretrainedClassifier).fit(X, np.array(classes)[y])
    predict = skae.to_onnx(model, method="predict").SerializeToString()
    for n_rows in (0, 1, 400):
        found = run(predict, X[:n_rows])
        assert len(found) == n_rows
        assert_same_labels(found, model, X)


def test_probabilities_of_the_classifier(labelled):
    X, y, _ = labelled
    model = pretrained(skae.PretrainedClassifier).fit(X, y)
    found = run(skae.to_onnx(model, method="predict_proba").SerializeToString(), X)
    assert_allclose(found, model.predict_proba(X), atol=1e-5)


def test_predictions_of_the_regressor(labelled):
    X, _, targets = labelled
    for y in (targets, targets[:, 0]):
        model = pretrained(skae.PretrainedRegressor).fit(X, 1000 + y)
        found = run(skae.to_onnx(model, method="predict").SerializeToString(), X)
        assert_allclose(found, model.predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match=r"has: transform, predict\. Got"):
        skae.to_onnx(model, method="predict_proba")


def convert(pipeline, X, **params):
    skl2onnx = pytest.importorskip("skl2onnx", reason="needs the extra 'onnx'")
    skae.register_onnx_converters()
    model = skl2onnx.to_onnx(pipeline, X[:1], **params)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda rows: session.run(None, {"X": rows})


@pytest.mark.parametrize(
    "estimator", [each for each in OF_NUMBERS if each is not skae.RecurrentAutoencoder]
)
def test_pipelines(estimator, labelled):
    X, y, _ = labelled
    steps = StandardScaler(), quick(estimator), LogisticRegression()
    pipeline = make_pipeline(*steps).fit(X, y)
    model = convert(pipeline, X, options={"zipmap": False})
    for n_rows in (1, 400):
        labels, probabilities = model(X[:n_rows])
        assert_same_labels(labels, pipeline, X[:n_rows])
        expected = pipeline.predict_proba(X[:n_rows])
        assert_allclose(probabilities, expected, atol=1e-5)


def test_recurrent_layers_are_not_for_pipelines(labelled):
    X, _, _ = labelled
    pipeline = make_pipeline(StandardScaler(), quick(skae.RecurrentAutoencoder)).fit(X)
    with pytest.raises(
        NotImplementedError, match=r"RecurrentAutoencoder.*skae\.to_onnx"
    ):
        convert(pipeline, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_unions_of_rows_of_any_type(dtype, labelled):
    X = (10 * labelled[0]).astype(dtype)
    union = make_union(
        quick(skae.AutoencoderTransformer),
        quick(skae.AutoencoderTransformer, n_components=3, output="hidden"),
    ).fit(X)
    (found,) = convert(union, X, target_opset=18)(X)
    assert_allclose(found, union.transform(X), atol=1e-4)


@pytest.mark.parametrize("classes", CLASSES)
def test_classifier_in_pipelines(classes, labelled):
    X, y, _ = labelled
    pipeline = make_pipeline(StandardScaler(), pretrained(skae.PretrainedClassifier))
    pipeline.fit(X, np.array(classes)[y])
    labels, dicts = convert(pipeline, X)(X)
    assert_same_labels(labels, pipeline, X)
    found = [[row[name] for name in pipeline.classes_] for row in dicts]
    assert_allclose(found, pipeline.predict_proba(X), atol=1e-5)


def test_probabilities_of_pipelines_as_a_matrix(labelled):
    X, y, _ = labelled
    pipeline = make_pipeline(StandardScaler(), pretrained(skae.PretrainedClassifier))
    pipeline.fit(X, y)
    _, probabilities = convert(pipeline, X, options={"zipmap": False})(X)
    assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-5)


def test_regressor_in_pipelines(labelled):
    X, _, targets = labelled
    for y in (targets, targets[:, 0]):
        pipeline = make_pipeline(StandardScaler(), pretrained(skae.PretrainedRegressor))
        pipeline.fit(X, y)
        (found,) = convert(pipeline, X)(X)
        assert_allclose(found, pipeline.predict(X).reshape(400, -1), atol=1e-5)


def test_errors_of_pipelines(labelled, monkeypatch):
    X, _, _ = labelled
    pipeline = make_pipeline(quick(skae.AutoencoderTransformer)).fit(X)
    with pytest.raises(ValueError, match=r"target_opset=18 or higher.*Got 15"):
        convert(pipeline, X, target_opset=15)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        skae.register_onnx_converters()


class Strange(Own):
    def encode(self, x):
        return torch.linalg.eigvals(x.T @ x).real[:2].expand(
            len(x), 2
        ) + super().encode(x)


def test_models_in_memory(curved):
    X = curved.astype(np.float32)
    model = quick(skae.AutoencoderTransformer).fit(X)
    file = io.BytesIO()
    skae.to_onnx(model, file)
    assert_allclose(run(file.getvalue(), X), model.transform(X), atol=1e-5)
    with pytest.raises(TypeError, match="path must be a str, a path-like, or a binary"):
        skae.to_onnx(model, 3)


def test_errors(curved, monkeypatch):
    with pytest.raises(ValueError, match="Got StandardScaler"):
        skae.to_onnx(StandardScaler())
    with pytest.raises(NotFittedError):
        skae.to_onnx(skae.AutoencoderTransformer())
    model = quick(skae.AutoencoderTransformer, module=Strange).fit(curved)
    with pytest.raises(ValueError, match="cannot be converted to ONNX"):
        skae.to_onnx(model)
    with pytest.raises(ValueError, match="Got 'predict'"):
        skae.to_onnx(model, method="predict")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        skae.to_onnx(model)
