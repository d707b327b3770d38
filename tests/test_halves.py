"""The layers of a fitted estimator in a network of one's own."""

import copy
import pickle

import numpy as np
import pytest
import torch
from modules_for_tests import Own
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from torch import nn

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    SparseAutoencoder,
    StackedAEPretrainer,
)
from skae.modules import Decoder, Encoder

X, y = load_digits(return_X_y=True)
X = (X[:300] / 16).astype(np.float32)
y = y[:300]
QUICK = {"max_epochs": 2, "random_state": 0}
ESTIMATORS = [
    AutoencoderTransformer(5, **QUICK),
    AutoencoderTransformer(5, tied_weights=True, **QUICK),
    AutoencoderTransformer(5, loss="binary_cross_entropy", **QUICK),
    AutoencoderTransformer(5, hidden_layer_sizes=(), **QUICK),
    AutoencoderTransformer(5, module=Own, **QUICK),
    ConvAutoencoder(5, init="random", **QUICK),
    DenoisingAutoencoder(**QUICK),
    SparseAutoencoder(20, init="random", **QUICK),
    StackedAEPretrainer(5, fine_tune_epochs=2, **QUICK),
]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_halves_do_what_the_estimator_does(estimator):
    estimator = estimator.fit(X)
    with torch.no_grad():
        codes = estimator.encoder_module_(torch.as_tensor(X))
        rows = estimator.decoder_module_(codes)
    np.testing.assert_allclose(codes, estimator.transform(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows, estimator.reconstruct(X), rtol=1e-4, atol=1e-5)


def test_halves_of_a_fine_tuned_classifier_are_those_of_its_encoder():
    pretrainer = AutoencoderTransformer(5, **QUICK)
    model = PretrainedClassifier(pretrainer, max_epochs=5, random_state=0).fit(X, y)
    with torch.no_grad():
        codes = model.encoder_module_(torch.as_tensor(X))
    np.testing.assert_allclose(codes, model.transform(X), rtol=1e-4, atol=1e-5)
    assert model.decoder_module_(codes).shape == X.shape


@pytest.mark.parametrize("tied_weights", [False, True])
def test_halves_have_the_parameters_they_use(tied_weights):
    estimator = AutoencoderTransformer(5, tied_weights=tied_weights, **QUICK).fit(X)
    path = 64 * 5
    layers = 64 * 100 + 100 * 100 + 100 * 5
    assert n_parameters(estimator.encoder_module_) == layers + 205 + path
    # The biases of a tied encoder come with its weights.
    biases = 264 + (205 if tied_weights else 0)
    assert n_parameters(estimator.decoder_module_) == layers + biases + path


def test_training_a_half_leaves_the_estimator_alone():
    estimator = AutoencoderTransformer(5, **QUICK).fit(X)
    before = estimator.transform(X)
    model = nn.Sequential(estimator.encoder_module_, nn.Linear(5, 10)).train()
    optimizer = torch.optim.Adam(model.parameters())
    loss = nn.functional.cross_entropy(model(torch.as_tensor(X)), torch.as_tensor(y))
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    np.testing.assert_array_equal(estimator.transform(X), before)


@pytest.mark.parametrize(
    "estimator",
    [
        DenoisingAutoencoder(**QUICK),  # its linear path is fixed
        PretrainedClassifier(
            AutoencoderTransformer(5, **QUICK), freeze="all", max_epochs=2
        ),
    ],
    ids=str,
)
def test_halves_can_be_trained(estimator):
    estimator = estimator.fit(X, y)
    for half in (estimator.encoder_module_, estimator.decoder_module_):
        assert all(p.requires_grad for p in half.parameters())
        assert half.state_dict()


def test_wrapping_the_module_shares_its_weights():
    estimator = AutoencoderTransformer(5, **QUICK).fit(X)
    before = estimator.transform(X)
    with torch.no_grad():
        Encoder(estimator.module_).autoencoder.scale.mul_(2)
    assert not np.allclose(estimator.transform(X), before)
    codes = torch.zeros(2, 5)
    with torch.no_grad():
        rows = Decoder(estimator.module_)(codes)
    np.testing.assert_allclose(rows, estimator.inverse_transform(codes), atol=1e-6)


def test_halves_are_copied_and_pickled():
    encoder = AutoencoderTransformer(5, tied_weights=True, **QUICK).fit(X)
    decoder = encoder.decoder_module_
    codes = torch.randn(4, 5)
    for again in (copy.deepcopy(decoder), pickle.loads(pickle.dumps(decoder))):
        torch.testing.assert_close(again(codes), decoder(codes))


def test_weights_are_listed_from_input_to_output():
    estimator = AutoencoderTransformer(
        5, hidden_layer_sizes=(30, 20), activation="relu", init="random", **QUICK
    ).fit(X)
    encoder, decoder = estimator.encoder_weights_, estimator.decoder_weights_
    assert [w.shape for w in encoder] == [(30, 64), (20, 30), (5, 20)]
    assert [w.shape for w in decoder] == [(20, 5), (30, 20), (64, 30)]
    module = estimator.module_
    hidden = (X - module.mean.numpy()) / module.scale.numpy()
    hidden = hidden @ encoder[0].T + module.encoder[0].bias.detach().numpy()
    estimator.set_params(output="hidden")
    np.testing.assert_allclose(
        np.maximum(hidden, 0), estimator.transform(X)[:, :30], rtol=1e-4, atol=1e-5
    )


def test_tied_weights_are_listed_as_transposes():
    estimator = AutoencoderTransformer(5, tied_weights=True, **QUICK).fit(X)
    weights = zip(
        estimator.encoder_weights_, estimator.decoder_weights_[::-1], strict=True
    )
    for encoder, decoder in weights:
        np.testing.assert_array_equal(encoder, decoder.T)


def test_changing_a_listed_weight_changes_nothing():
    estimator = AutoencoderTransformer(5, **QUICK).fit(X)
    before = estimator.transform(X)
    estimator.encoder_weights_[0][:] = 0
    np.testing.assert_array_equal(estimator.transform(X), before)


def test_weights_of_another_module_are_not_listed():
    estimator = AutoencoderTransformer(5, module=Own, **QUICK).fit(X)
    with pytest.raises(AttributeError, match=r"Own is another.*module_"):
        _ = estimator.encoder_weights_


def test_there_are_no_halves_before_fit():
    estimator = AutoencoderTransformer()
    for name in ("encoder_module_", "decoder_module_", "encoder_weights_"):
        assert not hasattr(estimator, name)
    with pytest.raises(NotFittedError):
        estimator.transform(X)
