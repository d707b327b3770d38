"""Files of estimators: `skae.save` and `skae.load`."""

import contextlib
import hashlib
import inspect
import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from modules_for_tests import Own, WithoutForward, own_for_six
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from skorch.callbacks import Callback

import skae
from skae.noise import Compose, MaskingNoise, SwapNoise

safetensors = pytest.importorskip(
    "safetensors.torch", reason="files need safetensors, of the extra 'files'"
)

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)

DATA = Path(__file__).parent / "data"
PRETRAINED = [skae.PretrainedClassifier, skae.PretrainedRegressor]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skae"


def through_file(model, path, **parameters):
    skae.save(model, path)
    return skae.load(path, **parameters)


def losses(model):
    return [
        {name: value for name, value in row.items() if name != "dur"}
        for row in model.net_.history
    ]


def assert_same(model, twin, X):
    """Same parameters, same attributes, same results, bit by bit."""
    assert type(twin) is type(model) and str(twin) == str(model)
    assert vars(twin).keys() == vars(model).keys()
    results = ("transform", "reconstruct", "score_samples", "predict", "predict_proba")
    for method in results:
        if hasattr(model, method):
            assert_array_equal(getattr(twin, method)(X), getattr(model, method)(X))
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            if name == "net_":
                assert losses(twin) == losses(model)
            elif name == "encoder_":
                assert_array_equal(twin.encoder_.transform(X), value.transform(X))
            elif name != "pretrainer_":
                assert_array_equal(getattr(twin, name), value, strict=True)
                assert type(getattr(twin, name)) is type(value), name
    state = model.net_.plain_module_.state_dict()
    for name, value in twin.net_.plain_module_.state_dict().items():
        assert_array_equal(value, state[name])


@pytest.mark.parametrize("estimator", [*ESTIMATORS, *PRETRAINED])
def test_unfitted_estimators(estimator, path):
    model = estimator(max_epochs=7, random_state=3)
    twin = through_file(model, path)
    assert type(twin) is estimator
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "net_")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("params", [{}, {"init": "random", "optimizer": "adamw"}])
def test_fitted_estimators_are_the_same_and_train_on_the_same(
    estimator, params, path, curved
):
    model = quick(estimator, **params).fit(curved)
    twin = through_file(model, path)
    assert_same(model, twin, curved)
    for each in (model, twin):
        each.partial_fit(curved[:100])
    assert_same(model, twin, curved)
    for each in (model, twin):
        each.set_params(warm_start=True).fit(curved)
    assert_same(model, twin, curved)


@pytest.mark.parametrize("estimator", PRETRAINED)
@pytest.mark.parametrize(
    "pretrain, frozen",
    [(True, True), (True, False), (False, True), (False, False), (False, None)],
)
def test_fitted_classifier_and_regressor(estimator, pretrain, frozen, path, curved):
    pretrainer = None
    if frozen is not None:
        pretrainer = quick(skae.AutoencoderTransformer, hidden_layer_sizes=(7,))
        if frozen:
            pretrainer = FrozenEstimator(pretrainer.fit(curved))
    y = np.where(curved[:, 0] > 0, "up", "down")
    if estimator is skae.PretrainedRegressor:
        y = curved[:, :2]
    model = estimator(pretrainer, pretrain=pretrain, max_epochs=3, random_state=0)
    model.fit(curved, y)
    twin = through_file(model, path)
    assert_same(model, twin, curved)
    if pretrain:
        assert_same(model.pretrainer_, twin.pretrainer_, curved)
        shared = frozen and twin.pretrainer_ is twin.pretrainer.estimator
        assert bool(shared) == bool(frozen)
    assert_array_equal(
        clone(twin).fit(curved, y).predict(curved), model.predict(curved)
    )


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "binary_cross_entropy", "tied_weights": True, "init": "auto"},
        {"optimizer": "lbfgs"},
        {"optimizer": "muon"},
        {"output": "hidden", "hidden_layer_sizes": [np.int64(5), 4]},
        {"device": torch.device("cpu"), "lr": np.float32(1e-3)},
        {
            "net_params": {
                "optimizer__betas": (0.8, 0.9),
                "iterator_train__drop_last": True,
            }
        },
    ],
)
def test_parameters_of_all_kinds(params, path, curved):
    if params.get("optimizer") == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before version 2.9")
    X = curved / 8 + 0.5
    model = quick(skae.AutoencoderTransformer, **params).fit(X)
    twin = through_file(model, path)
    assert twin.get_params() == model.get_params()
    assert_same(model, twin, X)
    assert_same(model.partial_fit(X), twin.partial_fit(X), X)


def test_arrays_without_values(path, curved):
    model = quick(skae.VariationalAutoencoder).fit(curved)
    model.active_components_ = np.array([], dtype=int)
    assert_same(model, through_file(model, path), curved)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_estimator_makes_the_same_file(estimator, path, curved):
    model = quick(estimator).fit(curved)
    twin = through_file(model, path)
    data = path.read_bytes()
    for again in (model, twin, pickle.loads(pickle.dumps(twin))):
        skae.save(again, path)
        assert path.read_bytes() == data


def test_generators_names_and_output_of_frames(path, curved):
    X = pd.DataFrame(curved, columns=[f"column {i}" for i in range(6)])
    rng = np.random.RandomState(5)
    model = quick(skae.AutoencoderTransformer, random_state=rng)
    model.set_output(transform="pandas").fit(X)
    twin = through_file(model, path)
    assert list(twin.feature_names_in_) == list(X.columns)
    pd.testing.assert_frame_equal(twin.transform(X), model.transform(X))
    with pytest.raises(ValueError, match="feature names"):
        twin.transform(X[X.columns[::-1]])
    assert twin.random_state.randint(10**9) == rng.randint(10**9)


def test_losses_that_are_not_finite(path, curved):
    model = quick(skae.AutoencoderTransformer).fit(curved)
    model.loss_curve_ = [float("inf"), float("-inf"), float("nan")]
    assert_array_equal(through_file(model, path).loss_curve_, model.loss_curve_)


def test_metadata_requests(path, curved):
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick(skae.AutoencoderTransformer).set_fit_request(sample_weight=True)
        twin = through_file(model, path)
        requests = twin.get_metadata_routing().fit.requests
        assert requests == model.get_metadata_routing().fit.requests
        assert requests["sample_weight"] is True


def test_parameters_changed_after_fit(path, curved):
    model = quick(skae.AutoencoderTransformer).fit(curved)
    model.set_params(hidden_layer_sizes=(3,), n_components=4, batch_size=9)
    assert_same(model, through_file(model, path), curved)
    y = curved[:, 0]
    pretrainer = quick(skae.AutoencoderTransformer)
    model = skae.PretrainedRegressor(pretrainer, max_epochs=2, random_state=0)
    model.fit(curved, y)
    model.set_params(head_hidden_layer_sizes=(3,), head_input="code", dropout=0.0)
    assert_same(model, through_file(model, path), curved)
    model.pretrainer_.set_params(loss="binary_cross_entropy", init="pca")
    with pytest.raises(skae.FileError, match="cannot be built again"):
        skae.save(model, path)


@pytest.mark.parametrize(
    "params", [{"loss": "huber"}, {"optimizer": "sgd"}, {"optimizer": torch.optim.Adam}]
)
def test_other_losses_and_optimizers_than_in_fit_are_refused(params, path, curved):
    model = quick(skae.AutoencoderTransformer).fit(curved).set_params(**params)
    name = next(iter(params))
    with pytest.raises(skae.FileError, match=f"{name}=.* not what it was fitted"):
        skae.save(model, path)


@pytest.mark.parametrize(
    "scaler",
    [
        MaxAbsScaler(),
        MinMaxScaler(clip=True),
        PCA(3),
        QuantileTransformer(n_quantiles=50),
        RobustScaler(),
        StandardScaler(),
    ],
)
# scikit-learn 1.7 says it of arrays that QuantileTransformer transforms back.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_pipelines(scaler, path, curved):
    X = pd.DataFrame(curved, columns=[f"column {i}" for i in range(6)])
    model = make_pipeline(scaler, quick(skae.AutoencoderTransformer)).fit(X)
    twin = through_file(model, path)
    assert str(twin) == str(model)
    assert_array_equal(twin.transform(X), model.transform(X))
    assert_array_equal(clone(twin).fit_transform(X), model.transform(X))
    sampler = skae.AutoencoderSampler(model, random_state=0).fit(X)
    twin = through_file(sampler, path)
    assert_array_equal(
        twin.sample(5, random_state=0), sampler.sample(5, random_state=0)
    )


def test_what_is_left_out_of_a_pipeline(path, tmp_path, curved):
    callback = Callback()
    model = make_pipeline(
        StandardScaler(),
        quick(skae.AutoencoderTransformer, module=Own, callbacks=[callback]),
        memory=str(tmp_path),  # joblib opens pickles there
    ).fit(curved)
    with pytest.warns(UserWarning, match="autoencodertransformer__module="):
        skae.save(model, path)
    with pytest.raises(skae.FileError, match=r"Pass it: skae\.load\(path, memory="):
        skae.load(path, autoencodertransformer__module=Own)
    twin = skae.load(
        path,
        memory=None,
        autoencodertransformer__module=Own,
        autoencodertransformer__callbacks=[callback],
    )
    assert_array_equal(twin.transform(curved), model.transform(curved))
    assert twin[-1].callbacks == [callback]


@pytest.mark.parametrize("module", [Own, Own(6, 2), own_for_six, WithoutForward(6, 2)])
def test_own_modules_are_given_again(module, path, curved):
    model = quick(skae.AutoencoderTransformer, module=module).fit(curved)
    with pytest.warns(UserWarning, match=r"load\(path, module=\.\.\.\)"):
        skae.save(model, path)
    with pytest.raises(skae.FileError, match=r"Pass it: skae\.load\(path, module="):
        skae.load(path)
    assert_same(model, skae.load(path, module=module), curved)
    with pytest.raises(skae.FileError, match="cannot be built again"):
        skae.load(path, module=lambda: torch.nn.Linear(6, 6))


def test_own_module_of_a_pretrainer(path, curved):
    pretrainer = quick(skae.AutoencoderTransformer, module=Own)
    model = skae.PretrainedRegressor(
        pretrainer, head_input="code", max_epochs=2, random_state=0
    ).fit(curved, curved[:, 0])
    with pytest.warns(UserWarning, match="pretrainer__module="):
        skae.save(model, path)
    twin = skae.load(path, pretrainer__module=Own)
    assert_array_equal(twin.predict(curved), model.predict(curved))


def test_noise_objects_and_their_state(path, curved):
    noise = Compose([MaskingNoise(0.2, fill="mean"), SwapNoise(0.1)])
    model = quick(skae.DenoisingAutoencoder, noise=noise).fit(curved)
    with pytest.warns(UserWarning, match="noise="):
        skae.save(model, path)
    twin = skae.load(path, noise=noise)
    assert_same(model, twin, curved)
    assert_same(model.partial_fit(curved), twin.partial_fit(curved), curved)


def test_callbacks_are_left_out_unless_given(path, curved):
    callback = Callback()
    model = quick(skae.AutoencoderTransformer, callbacks=[callback]).fit(curved)
    with pytest.warns(UserWarning, match="callbacks="):
        skae.save(model, path)
    assert skae.load(path).callbacks is None
    twin = skae.load(path, callbacks=[callback])
    assert twin.callbacks == [callback]
    with pytest.raises(skae.FileError, match="max_epochs, or no such parameter"):
        skae.load(path, max_epochs=3)


def test_device(path, curved):
    model = quick(skae.AutoencoderTransformer, device="auto").fit(curved)
    twin = through_file(model, path, device="cpu")
    assert twin.device == "cpu"
    assert_array_equal(twin.transform(curved), model.transform(curved))
    if not torch.cuda.is_available():
        with pytest.raises(skae.FileError, match="cuda"):
            skae.load(path, device="cuda")


@pytest.mark.parametrize(
    "value, message",
    [
        (LogisticRegression(), "Got LogisticRegression"),
        (
            make_pipeline(skae.AutoencoderTransformer(), LogisticRegression()),
            "save those of skae",
        ),
        (type("Own", (skae.AutoencoderTransformer,), {})(), "Got Own"),
    ],
)
def test_what_is_not_written(value, message, path):
    with pytest.raises(TypeError, match=message):
        skae.save(value, path)
    assert not path.exists()


class Stream(io.RawIOBase):
    """Bytes that are read or written once, a few at a time."""

    def __init__(self, data=b""):
        self.data = data

    def readable(self):
        return True

    def readinto(self, buffer):
        part, self.data = self.data[:1000], self.data[1000:]
        buffer[: len(part)] = part
        return len(part)

    def write(self, data):
        self.data += data[:1000]
        return len(data[:1000])


def test_file_objects(path, curved):
    model = quick(skae.AutoencoderTransformer).fit(curved)
    skae.save(model, path)
    buffer, stream = io.BytesIO(), Stream()
    for file in (buffer, stream):
        skae.save(model, file)
    assert buffer.getvalue() == stream.data == path.read_bytes()
    buffer.seek(0)
    archive = zipfile.ZipFile(path.with_suffix(".zip"), "w")
    archive.write(path, "model")
    with path.open("rb") as opened, archive, archive.open("model") as member:
        for file in (buffer, stream, opened, member):
            assert_same(model, skae.load(file), curved)
    with pytest.raises(skae.FileError, match=r"seek\(0\)"):
        skae.load(buffer)


def test_what_is_no_binary_file(path):
    model = skae.AutoencoderTransformer()
    skae.save(model, path)
    for text in (io.StringIO("a"), path.open(encoding="utf-8")):
        with text, pytest.raises(TypeError, match="mode 'rb'"):
            skae.load(text)
    text = io.StringIO()
    with pytest.raises(TypeError, match="mode 'wb'"):
        skae.save(model, text)
    assert text.getvalue() == ""
    for call in (lambda: skae.save(model, 5), lambda: skae.load(b"model.skae")):
        with pytest.raises(TypeError, match=r"path-like, or a binary file.* Got"):
            call()


def test_nothing_is_written_to_a_file_object_when_saving_fails(curved):
    model = quick(skae.AutoencoderTransformer).fit(curved)
    model.set_params(loss="binary_cross_entropy", init="pca")
    buffer = io.BytesIO()
    with pytest.raises(skae.FileError, match="cannot be built again"):
        skae.save(model, buffer)
    assert buffer.getvalue() == b""


def test_attributes_of_other_types_are_refused(path):
    model = skae.AutoencoderTransformer()
    model.note = object()
    with pytest.raises(TypeError, match="'note' of AutoencoderTransformer"):
        skae.save(model, path)


def test_global_generators_are_untouched(path, curved):
    model = quick(skae.PretrainedRegressor, pretrain=False).fit(curved, curved[:, 0])
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    numpy_state = np.random.get_state()  # noqa: NPY002
    before = torch.get_rng_state(), random.getstate(), numpy_state[1].tolist()
    through_file(model, path)
    after = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), after) == before[1:]


def test_without_safetensors(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        skae.save(skae.AutoencoderTransformer(), path)


# Files that are not as they were written


def parts_of(data):
    """JSON text of a file as a value, and its tensors."""
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    return json.loads(metadata["skae"]), safetensors.load(data)


def signed(text, tensors):
    """Write a file with the right checksum."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.numpy().tobytes())
    return safetensors.save(tensors, {"skae": text, "sha256": digest.hexdigest()})


@pytest.fixture(scope="module")
def small():
    """Bytes of a small file, rows, and their codes."""
    X = np.random.RandomState(0).normal(size=(100, 3))
    model = quick(skae.AutoencoderTransformer, n_components=1, hidden_layer_sizes=(2,))
    codes = model.fit_transform(X)
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"skae-{os.getpid()}.skae"
    skae.save(model, file)
    data = file.read_bytes()
    file.unlink()
    return data, X, codes


def changed(small, path, change):
    """Write a file with another JSON text, and the right checksum."""
    content, tensors = parts_of(small[0])
    change(content, tensors)
    path.write_bytes(signed(json.dumps(content), tensors))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda data: b"", "ends too early"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data + b"0", "damaged"),
        (lambda data: data[:200], "ends too early"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
        (
            lambda data: data.replace(b'"n_components\\":1', b'"n_components\\":2'),
            "checksum",
        ),
        (lambda data: (2**27).to_bytes(8, "little") + bytes(2**27), "header has"),
        (lambda data: (2**63).to_bytes(8, "little") + data, "ends too early"),
        (lambda data: safetensors.save({"w": torch.ones(2)}), "not written by"),
        (lambda data: signed("[" * 100_000, {}), "not one of skae"),
        (lambda data: signed("[]", {}), "not one of skae"),
    ],
)
def test_damaged_files(change, message, small, path):
    path.write_bytes(change(small[0]))
    with pytest.raises(skae.FileError, match=message):
        skae.load(path)


def set_in(*keys, value):
    def change(content, tensors):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def huge(content, tensors):
    content["objects"][0]["net"]["arguments"]["hidden_layer_sizes"] = [10**9]


@pytest.mark.parametrize(
    "change, message",
    [
        (set_in("format", value=2), "format 2"),
        (set_in("objects", 0, "class", value="os.system"), "unknown class"),
        (set_in("objects", 0, "class", value="FileError"), "unknown class"),
        (set_in("objects", 0, "params", "lr", value={"eval": "1"}), "unknown kind"),
        (set_in("objects", 0, "attributes", "fit", value=1), "belongs to the class"),
        (set_in("objects", 0, "attributes", "__class__", value=1), "not a valid name"),
        (set_in("objects", 0, "attributes", "n_features_in_", value=10**12), "columns"),
        (set_in("objects", 0, "net", "states", "notify", value=1), "'notify'"),
        (set_in("estimator", value=3), "not hold an estimator"),
        (huge, "more than it has weights for"),
    ],
)
def test_files_that_tell_what_is_not_so(change, message, small, path):
    changed(small, path, change)
    with pytest.raises(skae.FileError, match=message):
        skae.load(path)


def test_files_do_not_change_how_the_net_opens_others(small, path):
    options = {"weights_only": False}
    written = {"dict": [["weights_only", False]]}
    settings = ("objects", 0, "net", "settings")
    changed(small, path, set_in(*settings, "torch_load_kwargs", value=written))
    assert skae.load(path).net_.torch_load_kwargs != options
    value = {"dict": [["torch_load_kwargs", written]]}
    changed(small, path, set_in("objects", 0, "attributes", "net_params", value=value))
    with pytest.raises(skae.FileError, match="not stored as an attribute"):
        skae.load(path)


def nested(X):
    """Give estimators that hold others, fitted."""
    inner = quick(skae.AutoencoderTransformer, hidden_layer_sizes=(3,))
    y = np.where(X[:, 0] > 0, "up", "down")
    for pretrainer in (inner, FrozenEstimator(clone(inner).fit(X))):
        for params in ({}, {"pretrain": False}):
            model = skae.PretrainedClassifier(pretrainer, max_epochs=1, **params)
            yield model.fit(X, y)
    pipeline = make_pipeline(StandardScaler(), inner)
    yield skae.AutoencoderSampler(pipeline, random_state=0).fit(X)


def test_net_params_of_files(path, curved):
    refused = {"dict": [["torch_load_kwargs", {"dict": [["weights_only", False]]}]]}
    for model in (quick(skae.StackedAEPretrainer).fit(curved), *nested(curved)):
        skae.save(model, path)
        content, tensors = parts_of(path.read_bytes())
        n_places = 0
        for each in content["objects"]:
            if "net_params" in each.get("params", {}):
                before, each["params"]["net_params"] = None, refused
                path.write_bytes(signed(json.dumps(content), tensors))
                with pytest.raises(skae.FileError, match="torch_load_kwargs has to"):
                    skae.load(path)
                each["params"]["net_params"] = before
                n_places += 1
        assert n_places > 0


def test_net_params_that_a_file_does_not_hold(path, curved):
    params = {"torch_load_kwargs": {"weights_only": True}, "optimizer__eps": 1e-6}
    model = quick(skae.AutoencoderTransformer, net_params=params).fit(curved)
    with pytest.warns(UserWarning, match=r"load\(path, net_params=\.\.\.\)"):
        skae.save(model, path)
    with pytest.raises(skae.FileError, match=r"Pass it: skae\.load\(path, net_params="):
        skae.load(path)
    twin = skae.load(path, net_params=params)
    assert twin.net_params == params
    assert_same(model, twin, curved)


def numbers(value):
    """List the places of the numbers in a JSON value."""
    found = places(value, [])
    return [(box, key) for box, key in found if type(box[key]) is int]


def arguments_of(content):
    """List the arguments of modules in a file."""
    for each in content["objects"]:
        if each.get("net"):
            yield each["net"]["arguments"]
            yield from each["attributes"].get("_autoencoder_arguments", {"dict": []})[
                "dict"
            ]


def fitted_for_sizes(X):
    small = {"hidden_layer_sizes": (3,)}
    for estimator in ESTIMATORS:
        names = inspect.signature(estimator).parameters
        yield quick(estimator, **(small if "hidden_layer_sizes" in names else {}))
    yield quick(skae.RecurrentAutoencoder, n_layers=2, bidirectional=True)
    yield quick(skae.RecurrentAutoencoder, decoder="recurrent", cell="gru")
    yield quick(skae.ConvAutoencoder, pooling=True, image_shape=(2, 3))
    yield quick(skae.AutoencoderTransformer, tied_weights=True, **small)


def test_sizes_that_the_file_has_no_weights_for(path, curved):
    fitted = [model.fit(curved) for model in fitted_for_sizes(curved)]
    for model in (*fitted, *nested(curved)):
        skae.save(model, path)
        content, tensors = parts_of(path.read_bytes())
        n_sizes = 0
        for arguments in arguments_of(content):
            for box, key in numbers(arguments):
                before, box[key] = box[key], 10**6
                path.write_bytes(signed(json.dumps(content), tensors))
                with pytest.raises(skae.FileError, match="more than it has weights"):
                    skae.load(path)
                box[key] = before
                n_sizes += 1
        assert n_sizes > 0


def test_many_layers_that_the_file_has_no_weights_for(path, curved):
    for model in fitted_for_sizes(curved):
        skae.save(model.fit(curved), path)
        content, tensors = parts_of(path.read_bytes())
        (arguments,) = arguments_of(content)
        for name in arguments.keys() & {"hidden_layer_sizes", "n_filters", "n_layers"}:
            before = arguments[name]
            arguments[name] = 500 if name == "n_layers" else [1] * 500
            path.write_bytes(signed(json.dumps(content), tensors))
            with pytest.raises(skae.FileError, match="500"):
                skae.load(path)
            arguments[name] = before


class Deep(Own):
    """Own, with as many more layers as asked for."""

    def __init__(self, n_features, n_components, depth=1, width=1):
        super().__init__(n_features, n_components)
        self.more = torch.nn.ModuleList(
            torch.nn.Linear(width, width) for _ in range(depth)
        )


def test_sizes_of_own_modules(path, curved):
    params = {"module__depth": 3, "module__width": 2}
    model = quick(skae.AutoencoderTransformer, module=Deep, net_params=params)
    with pytest.warns(UserWarning, match="module="):
        skae.save(model.fit(curved), path)
    assert_same(model, skae.load(path, module=Deep), curved)
    content, tensors = parts_of(path.read_bytes())
    arguments = content["objects"][0]["net"]["arguments"]
    for name, size, message in [
        ("depth", 10**9, "more than it has weights"),
        ("width", 10**9, "more than it has weights"),
        ("width", 900, "weights in the file are not those of Deep"),
        ("n_components", 10**9, "more than it has weights"),
        ("n_features", 10**9, "columns"),
    ]:
        before, arguments[name] = arguments[name], size
        path.write_bytes(signed(json.dumps(content), tensors))
        with pytest.raises(skae.FileError, match=message):
            skae.load(path, module=Deep)
        arguments[name] = before


def test_texts_that_take_more_than_the_file(small, path):
    for kind, texts in [("<U9999999", ["a"] * 9), ("U", ["a" * 9999, *[""] * 9999])]:
        value = {"texts": [kind, texts]}
        changed(small, path, set_in("objects", 0, "attributes", "texts_", value=value))
        with pytest.raises(skae.FileError, match="Arrays of strings"):
            skae.load(path)
    value = {"texts": ["O", ["a"] * 4]}
    names = ("objects", 0, "attributes", "feature_names_in_")
    changed(small, path, set_in(*names, value=value))
    with pytest.raises(skae.FileError, match=r"3 columns\. Expected 4"):
        skae.load(path)


def test_tensors_are_used_once(small, path):
    value = {"tensor": "t0"}
    changed(small, path, set_in("objects", 0, "attributes", "more_", value=value))
    with pytest.raises(skae.FileError, match="needs it twice"):
        skae.load(path)


def test_mixtures_of_other_columns(path, curved):
    model = skae.AutoencoderSampler(PCA(2), random_state=0).fit(curved)
    model.residual_std_ = model.residual_std_[:-1]
    with pytest.raises(skae.FileError, match="residual_std_"):
        skae.save(model, path)


def test_files_of_other_versions(small, path):
    changed(small, path, set_in("versions", "skae", value="0.0.1"))
    with pytest.warns(UserWarning, match=r"written by skae 0\.0\.1") as caught:
        model = skae.load(path)
    assert caught[0].filename == __file__
    assert_array_equal(model.transform(small[1]), small[2])


# Audit hooks stay for ever: this one notes only while it is told to.
_noted = None


def _note(event, args):
    code = ("os.system", "os.exec", "subprocess.Popen", "pickle.find_class")
    if _noted is not None and event in code:
        _noted.append(event)


sys.addaudithook(_note)


@pytest.fixture
def nothing_run():
    global _noted
    _noted = []
    yield
    seen, _noted = _noted, None
    assert seen == []


def mutated(data, rng):
    """Change bits, bytes or the length of a file, often of its header."""
    data = bytearray(data)
    end = len(data) if rng.random() < 0.5 else 400
    for _ in range(rng.choice([1, 1, 2, 8])):
        kind, at = rng.randrange(5), rng.randrange(min(end, len(data)))
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(b'09{}[]",:\\ \0\xff-e')
        elif kind == 2:
            del data[at : at + rng.choice([1, 2, 50, 10**6])]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.choice([1, 8, 100]))
        else:
            start = rng.randrange(len(data))
            data[at : at + 20] = data[start : start + 20]
        if not data:
            break
    return bytes(data)


def test_mutated_files(small, path, nothing_run):
    data, X, codes = small
    rng = random.Random(0)
    n_opened = 0
    for _ in range(10_000):
        path.write_bytes(mutated(data, rng))
        try:
            model = skae.load(path)
        except skae.FileError:
            continue
        n_opened += 1
        assert_array_equal(model.transform(X), codes)
    assert n_opened < 100


def places(value, found):
    """List all containers in a JSON value, with their keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        found.append((value, key))
        if isinstance(each, dict | list):
            places(each, found)
    return found


OTHERS = [
    *(None, True, -1, 0, 2, 10**4, 10**6, 10**8, 10**12, 10**30, 1e300),
    *("", "t1", "cuda", "<U99999999", [], {}, [1] * 5000, [""] * 5000, [10**6] * 3),
    *({"tensor": "t1"}, {"array": "t0"}, {"object": 0}, {"dict": [[[], 1]]}),
]


def mutated_texts(data, n_files, rng):
    """Change values in the JSON text of a file, or leave them out."""
    content, tensors = parts_of(data)
    for each in content["objects"]:
        # The long states of generators would hide the rest.
        (each.get("net") or {"states": {}})["states"].pop("private_random_state_", None)
    text = json.dumps(content)
    for _ in range(n_files):
        content = json.loads(text)
        found = places(content, [])
        for _ in range(rng.choice([1, 1, 3])):
            container, key = rng.choice(found)
            if rng.random() < 0.8:
                container[key] = rng.choice(OTHERS)
            elif isinstance(container, dict):
                container.pop(key, None)
        yield signed(json.dumps(content), tensors)


@pytest.mark.filterwarnings("ignore")
def test_mutated_texts_with_the_right_checksum(small, path, nothing_run):
    for data in mutated_texts(small[0], 500, random.Random(0)):
        path.write_bytes(data)
        with contextlib.suppress(skae.FileError):
            skae.load(path)


@pytest.fixture
def table_file(path):
    """JSON text and tensors of a file with an encoder of tables, and a table."""
    table = pl.DataFrame({"x": [1.5, None, 2.5], "s": ["a", "b", None]})
    skae.save(skae.TableEncoder().fit(table), path)
    return *parts_of(path.read_bytes()), table


def test_columns_of_tables_that_are_unknown(table_file, path):
    content, tensors, table = table_file
    columns = content["objects"][0]["attributes"]["_columns"]
    dtypes = json.dumps(content).replace('"Float64"', '"read_csv"')
    path.write_bytes(signed(dtypes, tensors))
    encoder = skae.load(path)
    with pytest.raises(ValueError, match="no dtype 'read_csv'"):
        encoder.inverse_transform(encoder.transform(table))
    columns[0]["column"][0] = "Popen"
    path.write_bytes(signed(json.dumps(content), tensors))
    with pytest.raises(skae.FileError, match="column of an unknown kind, 'Popen'"):
        skae.load(path)


@pytest.mark.filterwarnings("ignore")
def test_mutated_columns_of_tables(table_file, path, nothing_run):
    _, _, table = table_file
    for data in mutated_texts(path.read_bytes(), 300, random.Random(0)):
        path.write_bytes(data)
        with contextlib.suppress(Exception):
            encoder = skae.load(path)
            encoder.inverse_transform(encoder.transform(table))


OPENED = """
import pathlib, sys, warnings, skae

warnings.simplefilter("ignore")

def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

first, *others = sorted(pathlib.Path(sys.argv[1]).iterdir())
skae.load(first)
before = peak()
for file in others:
    try:
        skae.load(file)
    except skae.FileError:
        pass
    grown = peak() - before
    assert grown < 100, f"{file.name}: {grown} MiB"
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_mutated_texts_take_no_memory(tmp_path, curved):
    rng, n_files = random.Random(0), 0
    kinds = [skae.ConvAutoencoder, skae.DenoisingAutoencoder, skae.RecurrentAutoencoder]
    for model in (*(quick(kind).fit(curved) for kind in kinds), *nested(curved)):
        buffer = io.BytesIO()
        skae.save(model, buffer)
        for data in (buffer.getvalue(), *mutated_texts(buffer.getvalue(), 10, rng)):
            (tmp_path / f"{n_files:04}").write_bytes(data)
            n_files += 1
    subprocess.run([sys.executable, "-c", OPENED, tmp_path], check=True)


# Files that are there


def test_a_file_of_the_first_format_opens():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # later versions warn of it
        model = skae.load(DATA / "classifier_format_1.skae")
    rows = pd.DataFrame(
        [[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]], columns=model.feature_names_in_
    )
    assert list(model.predict(rows)) == ["setosa", "virginica"]
    expected = json.loads((DATA / "classifier_format_1.json").read_text())
    assert_allclose(model.predict_proba(rows), expected["predict_proba"], atol=1e-4)
    assert_allclose(model.transform(rows), expected["transform"], atol=1e-4)
    codes = model.pretrainer_.transform(rows)
    assert_allclose(codes, expected["pretrainer_transform"], atol=1e-4)
    assert list(model.feature_names_in_) == expected["feature_names"]


@pytest.mark.parametrize("fitted", [True, False])
def test_a_file_of_series_without_a_width_of_the_decoder_opens(fitted, path):
    X = np.random.RandomState(0).normal(size=(100, 4, 2)).cumsum(axis=1)
    params = {"hidden_size": 6, "max_epochs": 3, "warm_start": True, "random_state": 0}
    model = skae.RecurrentAutoencoder(decoder_hidden_size=None, **params)
    skae.save(model.fit(X) if fitted else model, path)
    content, tensors = parts_of(path.read_bytes())
    for each in (content["objects"][0]["params"], *arguments_of(content)):
        del each["decoder_hidden_size"]
    path.write_bytes(signed(json.dumps(content), tensors))
    again = skae.load(path)
    if fitted:
        assert_array_equal(again.reconstruct(X), model.reconstruct(X))
    assert_array_equal(again.fit(X).reconstruct(X), model.fit(X).reconstruct(X))


KILLED = """
import os, signal, sys, skae

def kill(*args):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], kill)
skae.save(skae.AutoencoderTransformer(2), sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_kill_leaves_the_old_file_whole(at, path):
    skae.save(skae.AutoencoderTransformer(7), path)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, path, at], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    skae.save(skae.AutoencoderTransformer(2), path)
    assert skae.load(path).n_components == 2


def test_an_error_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    skae.save(skae.AutoencoderTransformer(7), path)

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        skae.save(skae.AutoencoderTransformer(2), path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert skae.load(path).n_components == 7


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.skae", tmp_path / "link.skae"
    target.touch()
    link.symlink_to(target)
    skae.save(skae.AutoencoderTransformer(7), link)
    assert link.is_symlink() and skae.load(target).n_components == 7


@pytest.mark.parametrize("series_shape", [None, (6, 2)])
def test_a_pretrainer_that_was_never_fitted(series_shape, tmp_path):
    X = np.random.default_rng(0).random((20, 12))
    pretrainer = skae.RecurrentAutoencoder(max_epochs=1, series_shape=series_shape)
    model = skae.PretrainedRegressor(
        pretrainer, pretrain=False, max_epochs=1, random_state=0
    ).fit(X, np.arange(20.0))
    skae.save(model, tmp_path / "model")
    twin = skae.load(tmp_path / "model")
    assert_array_equal(twin.predict(X), model.predict(X))


def test_files_say_nothing_of_the_rows(tmp_path):
    X = np.random.default_rng(0).random((60, 3, 6, 6))
    model = skae.ConvAutoencoder(2, init="random", max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="put the channels last"):
        model.fit(X)
    skae.save(model, tmp_path / "model")  # a warning would be an error
    skae.load(tmp_path / "model")
