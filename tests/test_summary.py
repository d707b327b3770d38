"""A fitted network in words."""

import re
import warnings

import pytest
from estimators import BECOMES_PCA, ESTIMATORS, OF_NUMBERS, quick
from modules_for_tests import Own
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    RecurrentAutoencoder,
    SparseAutoencoder,
    StackedAEPretrainer,
    VariationalAutoencoder,
    _doc_link,
)

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)


def table(text):
    """Parameters of layers by name, and of all."""
    rows = re.findall(r"^( *)(\S+)(?:  .*)? {2,}([\d,]+)$", text, re.MULTILINE)
    numbers = [(indent, name, int(n.replace(",", ""))) for indent, name, n in rows]
    layers = {name: n for indent, name, n in numbers if indent}
    (all_of_them,) = (n for indent, name, n in numbers if name == "all")
    return layers, all_of_them


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("params", [{}, {"tied_weights": True}, {"module": Own}])
def test_parameters_are_counted_once(estimator, params, curved):
    if not set(params) <= {*estimator().get_params()}:
        pytest.skip(f"{estimator.__name__} has no such parameter")
    model = quick(estimator, **params).fit(curved)
    layers, n_parameters = table(model.summary())
    assert n_parameters == sum(p.numel() for p in model.module_.parameters())
    assert sum(layers.values()) == n_parameters


def test_dense_layers(curved):
    model = quick(AutoencoderTransformer, hidden_layer_sizes=(20,), init="random")
    head, layers, words = model.fit(curved).summary().split("\n\n")
    assert head == "AutoencoderTransformer: 6 columns, 2 components"
    assert [line.split() for line in layers.splitlines()] == [
        ["layer", "output", "parameters"],
        ["encoder"],
        ["encoder.0", "Linear", "20", "140"],
        ["encoder.2", "Linear", "2", "42"],
        ["decoder"],
        ["decoder.0", "Linear", "20", "60"],
        ["decoder.2", "Linear", "6", "126"],
        ["all", "368"],
    ]
    assert words == (
        f"Epochs trained: 3. State kept: that of epoch {model.best_epoch_}, with "
        f"validation loss {model.best_loss_:.4g} (the start: "
        f"{model.validation_loss_curve_[0]:.4g})."
    )


def test_layers_of_images_and_those_that_are_fixed(digits):
    model = quick(ConvAutoencoder, init="random").fit(digits[0][:200])
    assert re.search(r"Conv2d +16 × 4 × 4 +160\n", model.summary())
    assert "fixed" not in model.summary()
    for parameter in model.module_.encoder.parameters():
        parameter.requires_grad_(False)
    assert re.search(r"of these fixed +4,800\n", model.summary())


def test_parameters_that_belong_to_no_layer(curved):
    text = quick(VariationalAutoencoder).fit(curved).summary()
    assert re.search(r"in no layer\n  log_noise +1\n", text)


def test_a_module_of_ones_own_is_left_as_it_is(curved):
    class Normalizes(Own):
        def __init__(self, n_features, n_components):
            super().__init__(n_features, n_components)
            self.norm = nn.BatchNorm1d(n_components)

        def encode(self, x):
            return self.norm(super().encode(x))

    model = quick(AutoencoderTransformer, module=Normalizes).fit(curved)
    model.module_.train()  # as a user might leave it
    before = {name: value.clone() for name, value in model.module_.state_dict().items()}
    assert re.search(r"norm +BatchNorm1d +2 +4\n", model.summary())
    for name, value in model.module_.state_dict().items():
        assert value.equal(before[name])
    assert model.module_.training
    assert not any(layer._forward_hooks for layer in model.module_.modules())


@pytest.mark.parametrize(
    "estimator, params, kept",
    [
        (AutoencoderTransformer, {}, "PCA"),
        (AutoencoderTransformer, {"init": "random"}, "the start"),
        (DenoisingAutoencoder, {}, "best linear denoiser"),
        (ConvAutoencoder, {}, "PCA"),
        (ConvAutoencoder, {"init": "random"}, "the start"),
        (VariationalAutoencoder, {"variance": "column"}, "factor analysis"),
    ],
)
def test_the_state_kept_where_training_was_of_no_use(estimator, params, kept, curved):
    model = quick(estimator, lr=1e-30, **params)
    for rows, epochs in [(curved, 3), (curved[:20], 0)]:
        if epochs == 0 and params.get("init") == "random":
            continue  # there is no floor, and so no least number of rows
        loss = "validation" if epochs else "training"
        assert (
            f"Epochs trained: {epochs}. State kept: {kept}, with {loss} loss "
        ) in model.fit(rows).summary()


def test_without_validation_rows(curved):
    model = quick(AutoencoderTransformer, validation_fraction=None).fit(curved)
    assert model.summary().endswith(
        "Epochs trained: 3. State kept: that of epoch 3, with training loss "
        f"{model.loss_curve_[-1]:.4g}."
    )


def test_pretrained_classifier(curved):
    model = PretrainedClassifier(
        quick(AutoencoderTransformer), max_epochs=3, early_stopping=True, random_state=0
    ).fit(curved, curved[:, 0] > 0)
    text = model.summary()
    assert re.search(r"\nhead\n  head\.0 +Linear +2 +402\n", text)
    layers, n_parameters = table(text)
    assert sum(layers.values()) == n_parameters
    assert f"Epochs trained: {model.n_iter_}, on 400 labelled rows, " in text
    assert f"validation loss {min(model.validation_loss_curve_):.4g}." in text


def test_notebooks_show_the_summary(curved):
    model = quick(AutoencoderTransformer)
    assert "State kept" not in model._repr_mimebundle_()["text/html"]
    pipeline = make_pipeline(StandardScaler(), model).fit(curved)
    for shown in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert model.summary() in shown
    assert "AutoencoderTransformer" in pipeline._repr_html_()


def test_summary_needs_a_fitted_estimator():
    for estimator in (AutoencoderTransformer, PretrainedClassifier):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            estimator().summary()


@pytest.mark.parametrize(
    ("model", "floor"),
    [
        (quick(AutoencoderTransformer, lr=1e-9), "PCA"),
        (quick(DenoisingAutoencoder, lr=1e-9), "best linear denoiser"),
        (quick(StackedAEPretrainer, lr=1e-9, fine_tune_lr=1e-9), "PCA"),
        (quick(ConvAutoencoder, lr=1e-9), "PCA"),
        (quick(SparseAutoencoder, lr=1e-9), "signed PCA"),
        (quick(RecurrentAutoencoder, lr=1e-9), "PCA"),
        (quick(VariationalAutoencoder, lr=1e-9), "probabilistic PCA"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("n_rows", [40, 300])
def test_the_state_kept_has_one_name(model, floor, n_rows, curved, capsys):
    model = clone(model).set_params(warm_start=True, verbose=1)
    for name in (floor, "the earlier fit"):
        model.fit(curved[:n_rows])
        assert model.best_epoch_ == 0
        assert f"the state kept is {name}, with" in capsys.readouterr().out
        assert f"State kept: {name}, with" in model.summary()


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_an_offset_is_warned_of_once(estimator, curved):
    for n_rows in (40, 300):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make_pipeline(quick(estimator)).fit_transform(curved[:n_rows] + 1e6)
        found = [each for each in caught if "few digits" in str(each.message)]
        assert len(found) == 1
        assert found[0].filename == __file__


PUBLIC = [name for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")]


@pytest.mark.parametrize("name", PUBLIC)
def test_diagrams_link_to_the_documentation(name, monkeypatch):
    monkeypatch.setattr(_doc_link, "documentation", lambda: "https://docs.test")
    diagram = getattr(skae, name)()._repr_html_()
    assert f"https://docs.test/generated/skae.{name}.html" in diagram


def test_diagrams_have_no_link_where_there_is_no_documentation(monkeypatch):
    monkeypatch.setattr(_doc_link, "documentation", lambda: "")
    assert "generated/skae" not in AutoencoderTransformer()._repr_html_()


def test_the_placeholder_of_the_address_is_no_link():
    assert "example.org" not in _doc_link.documentation()
