"""Code of the user's that works in place gives what its twin gives that does not."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback
from torch import nn

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    RecurrentAutoencoder,
    StackedAEPretrainer,
)


class Clean(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_code = nn.Linear(6, 2)
        self.to_row = nn.Linear(2, 6)

    def encode(self, x):
        return self.to_code(x / 2)

    def decode(self, z):
        return self.to_row(z / 2)

    def hidden(self, x):
        return [self.to_code(x / 2)]


class InPlace(Clean):
    def encode(self, x):
        return self.to_code(x.div_(2))

    def decode(self, z):
        return self.to_row(z.div_(2))

    def hidden(self, x):
        return [self.to_code(x.div_(2))]


class Loss(nn.Module):
    def forward(self, x_hat, x):
        return ((x_hat - x) ** 2).mean()


class LossInPlace(nn.Module):
    def forward(self, x_hat, x):
        return x.sub_(x_hat).square_().mean()


class LossOfEntries(nn.Module):
    reduction = "mean"

    def forward(self, x_hat, x):
        loss = (x_hat - x).abs()
        return loss.mean() if self.reduction == "mean" else loss


class LossOfEntriesInPlace(LossOfEntries):
    def forward(self, x_hat, x):
        x_hat.sub_(x)
        x.zero_()
        return super().forward(x_hat, x)


class Noise(nn.Module):
    def forward(self, x):
        return x + 0.1 if self.training else x


class NoiseInPlace(nn.Module):
    def forward(self, x):
        return x.add_(0.1) if self.training else x


class Scale(Callback):
    """Change the batches that are validated on, once they have been used."""

    def on_batch_end(self, net, batch, training, **kwargs):
        if not training:
            batch[0].mul_(2)


class Watch(Callback):
    """Listen to batches, and do nothing: steps are taken one by one."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.fixture
def rows(curved):
    return curved.astype(np.float32)


def results(model, rows):
    model.partial_fit(rows).fit(rows)
    return [
        model.validation_loss_curve_,
        model.transform(rows),
        model.reconstruct(rows),
        model.inverse_transform(model.transform(rows)),
        model.score_samples(rows),
        model.reconstruction_error(rows),
        model.score(rows),
    ]


CLEAN_AND_IN_PLACE = {
    "module": (AutoencoderTransformer, {"module": Clean}, {"module": InPlace}),
    "hidden": (
        AutoencoderTransformer,
        {"module": Clean, "output": "hidden"},
        {"module": InPlace, "output": "hidden"},
    ),
    "denoised module": (
        DenoisingAutoencoder,
        {"module": Clean, "noise": "masking", "emphasis": (1.0, 0.1)},
        {"module": InPlace, "noise": "masking", "emphasis": (1.0, 0.1)},
    ),
    "loss": (AutoencoderTransformer, {"loss": Loss}, {"loss": LossInPlace}),
    "loss and module": (
        AutoencoderTransformer,
        {"loss": Loss, "module": Clean},
        {"loss": LossInPlace, "module": InPlace},
    ),
    "loss of entries": (
        ConvAutoencoder,
        {"loss": LossOfEntries},
        {"loss": LossOfEntriesInPlace},
    ),
    "loss of stacked layers": (
        StackedAEPretrainer,
        {"loss": LossOfEntries},
        {"loss": LossOfEntriesInPlace},
    ),
    "loss of series": (
        RecurrentAutoencoder,
        {"loss": LossOfEntries, "hidden_size": 4},
        {"loss": LossOfEntriesInPlace, "hidden_size": 4},
    ),
    "noise": (
        DenoisingAutoencoder,
        {"noise": Noise(), "hidden_layer_sizes": 9},
        {"noise": NoiseInPlace(), "hidden_layer_sizes": 9},
    ),
    "callback": (
        AutoencoderTransformer,
        {"callbacks": [Watch()]},
        {"callbacks": [Scale()]},
    ),
    "loader": (
        AutoencoderTransformer,
        {"module": Clean, "net_params": {"iterator_train__num_workers": 0}},
        {"module": InPlace, "net_params": {"iterator_train__num_workers": 0}},
    ),
    "not shuffled": (
        AutoencoderTransformer,
        {"module": Clean, "net_params": {"iterator_train__shuffle": False}},
        {"module": InPlace, "net_params": {"iterator_train__shuffle": False}},
    ),
}


@pytest.mark.filterwarnings("ignore:.*The fitted model is PCA")
@pytest.mark.parametrize("case", CLEAN_AND_IN_PLACE)
def test_it_does_not_matter(case, rows):
    estimator, clean, in_place = CLEAN_AND_IN_PLACE[case]
    params = {"max_epochs": 3, "init": "random", "random_state": 0}
    before = rows.copy()
    if clean.get("output") == "hidden":
        expected, found = (
            estimator(**params, **own).fit(rows).transform(rows)
            for own in (clean, in_place)
        )
        assert_array_equal(found, expected)
    else:
        expected, found = (
            results(estimator(**params, **own), rows) for own in (clean, in_place)
        )
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, other)
    assert_array_equal(rows, before)


@pytest.mark.parametrize("head_input", ["code", "hidden"])
def test_classifier(head_input, rows):
    y = rows[:, 0] > 0
    before = rows.copy()
    results = []
    for module in (Clean, InPlace):
        autoencoder = AutoencoderTransformer(module=module, max_epochs=2)
        model = PretrainedClassifier(
            autoencoder,
            head_input=head_input,
            max_epochs=4,
            early_stopping=True,
            reconstruction_weight=1.0,
            random_state=0,
        ).fit(rows, y)
        results.append((model.validation_loss_curve_, model.predict_proba(rows)))
    for one, other in zip(*results, strict=True):
        assert_array_equal(one, other)
    assert_array_equal(rows, before)


def test_callbacks_do_not_reach_the_rows_given(rows):
    class Spoil(Callback):
        def on_train_begin(self, net, X, **kwargs):
            X.zero_()

    before = rows.copy()
    model = AutoencoderTransformer(callbacks=[Spoil()], max_epochs=1, random_state=0)
    model.set_params(validation_fraction=None).fit(rows)
    assert_array_equal(rows, before)


def test_noise_that_is_fitted_in_place(rows):
    from skae.noise import GaussianNoise

    class Own(GaussianNoise):
        def fit(self, X, mean=None, variance=None):
            super().fit(X, mean, variance)
            X.zero_()
            return self

    before = rows.copy()
    for noise in (Own(0.1), [Own(0.1), "masking"]):
        model = DenoisingAutoencoder(noise=noise, max_epochs=1, random_state=0)
        model.partial_fit(rows)
    assert torch.equal(torch.from_numpy(rows), torch.from_numpy(before))
