"""The torch modules, and what skae uses of a module of one's own."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from modules_for_tests import Own
from sklearn.frozen import FrozenEstimator
from torch import nn

from skae import AutoencoderTransformer, PretrainedClassifier
from skae.losses import mean_loss_with_gradient
from skae.modules import (
    ConvolutionalAutoencoder,
    Decoder,
    DenseAutoencoder,
    Encoder,
    SeriesAutoencoder,
    SparseLinearAutoencoder,
    VariationalDenseAutoencoder,
)
from skae.modules._layers import ACTIVATIONS
from skae.modules._layerwise import LayerAutoencoder
from skae.modules._links import LINKS
from skae.modules._protocol import AutoencoderModule
from skae.training import AutoencoderNet

LOSSES = [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCEWithLogitsLoss()]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("sizes", [(), (7,), (9, 4)])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradient_is_that_of_autograd(
    activation, tied_weights, linear_path, sizes, loss
):
    torch.manual_seed(0)
    module = DenseAutoencoder(
        6,
        3,
        hidden_layer_sizes=sizes,
        activation=activation,
        tied_weights=tied_weights,
        linear_path=linear_path,
        binary_output=isinstance(loss, nn.BCEWithLogitsLoss),
    ).double()
    module.standardize(torch.randn(6), torch.tensor(1.7))
    noisy, x = torch.rand(2, 11, 6, dtype=torch.float64)
    expected_hat = module.decode_logits(module.encode(noisy))
    expected = torch.autograd.grad(
        loss(expected_hat, x), list(module.parameters()), retain_graph=True
    )

    x_hat, backward = module.logits_with_gradient(noisy)
    torch.testing.assert_close(x_hat, expected_hat.detach())
    x_hat.requires_grad_()
    loss(x_hat, x).backward()
    backward(x_hat.grad)
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
    backward(x_hat.grad)  # gradients add up, as autograd's do
    torch.testing.assert_close(parameter.grad, 2 * gradient)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradient_of_loss_is_that_of_autograd(loss):
    x_hat = torch.randn(11, 6, dtype=torch.float64, requires_grad=True)
    x = torch.rand(11, 6, dtype=torch.float64)
    expected = loss(x_hat, x)
    (expected_gradient,) = torch.autograd.grad(expected / 3, x_hat)
    found = mean_loss_with_gradient(loss, x_hat.detach(), x, unit=3.0)
    assert (found is None) == isinstance(loss, nn.L1Loss | nn.HuberLoss)
    if found is not None:
        torch.testing.assert_close(found[0], expected.detach())
        torch.testing.assert_close(found[1], expected_gradient)


def test_frozen_parameters_get_no_gradient():
    module = DenseAutoencoder(6, 3)
    module.linear_encoder.weight.requires_grad_(False)
    x_hat, backward = module.logits_with_gradient(torch.rand(5, 6))
    backward(x_hat)
    assert module.linear_encoder.weight.grad is None
    assert module.linear_decoder.weight.grad is not None


def test_hooks_on_layers_run_in_training():
    net = AutoencoderNet(DenseAutoencoder(4, 2), max_epochs=1, batch_size=7)
    layer = net.initialize().module_.decoder[0]
    seen = []
    layer.register_forward_hook(lambda *args: seen.append(len(args[2])))
    layer.register_full_backward_hook(lambda *args: seen.append("backward"))
    net.partial_fit(torch.rand(14, 4))
    assert seen == [7, "backward", 7, "backward"]


@pytest.mark.parametrize("activation", ["relu", "tanh", "selu"])
@pytest.mark.parametrize(
    "kernel_initializer, variance",  # of a layer from 400 to 300
    [
        ("auto", 1 / (3 * 400)),
        ("kaiming_normal", 2 / 400),
        ("kaiming_uniform", 2 / 400),
        ("lecun_normal", 1 / 400),
        ("lecun_uniform", 1 / 400),
        ("orthogonal", 1 / 400),
        ("xavier_normal", 2 / 700),
        ("xavier_uniform", 2 / 700),
    ],
)
def test_kernel_initializer(kernel_initializer, variance, activation):
    options = {
        "hidden_layer_sizes": (300,),
        "activation": activation,
        "kernel_initializer": kernel_initializer,
    }
    for module in (
        DenseAutoencoder(400, 3, **options),
        DenseAutoencoder(400, 3, tied_weights=True, **options),
        VariationalDenseAutoencoder(400, 3, **options),
    ):
        weight = module.encoder[0].weight.detach()
        assert float(weight.var()) == pytest.approx(variance, rel=0.03)
        assert abs(float(weight.mean())) < 1e-3
        if kernel_initializer == "orthogonal":
            assert torch.allclose(weight @ weight.T, torch.eye(300), atol=1e-5)
        if kernel_initializer != "auto":
            for layer in (*module.encoder, *module.decoder):
                assert getattr(layer, "bias", torch.zeros(1)).count_nonzero() == 0
    torch.manual_seed(0)
    first = DenseAutoencoder(4, 3, **options).state_dict()
    torch.manual_seed(0)
    again = DenseAutoencoder(4, 3, **options).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


# What skae asks of a module

MODULES = {
    "dense": lambda: DenseAutoencoder(12, 3),
    "dense, tied": lambda: DenseAutoencoder(12, 3, tied_weights=True),
    "dense, linear": lambda: DenseAutoencoder(12, 3, hidden_layer_sizes=()),
    "convolutional": lambda: ConvolutionalAutoencoder((4, 3), 3),
    "series": lambda: SeriesAutoencoder(4, 3, 3, bidirectional=True),
    "series, recurrent": lambda: SeriesAutoencoder(4, 3, 3, recurrent_decoder=True),
    "sparse": lambda: SparseLinearAutoencoder(12, 3),
    "variational": lambda: VariationalDenseAutoencoder(12, 3),
}


@pytest.fixture(params=MODULES)
def module(request):
    torch.manual_seed(0)
    return MODULES[request.param]().eval()


@torch.no_grad()
def test_a_module_becomes_the_linear_map_of_its_weights(module):
    mean, scale = torch.randn(12), torch.tensor(1.7)
    module.standardize(mean, scale)
    axes = torch.linalg.qr(torch.randn(12, 3))[0].T
    x = torch.randn(5, 12)
    variances = {}
    if isinstance(module, VariationalDenseAutoencoder):
        variances = {"code_variance": torch.ones(3), "noise_variance": torch.ones(1)}
    module.start_linear(axes, axes.T, **variances)
    z = (x - mean) @ axes.T
    if isinstance(module, SparseLinearAutoencoder):
        z = z.relu()
    x_hat = mean + z @ axes
    if isinstance(module, VariationalDenseAutoencoder):  # its codes have no unit
        z = z / scale
    torch.testing.assert_close(module.encode(x), z)
    torch.testing.assert_close(module(x), x_hat)


@torch.no_grad()
def test_biases_of_a_sparse_linear_start_are_in_units_of_the_scale():
    module = SparseLinearAutoencoder(4, 4)
    module.standardize(torch.zeros(4), torch.tensor(2.0))
    biases = {"encoder_bias": torch.full((4,), 3.0), "decoder_bias": torch.ones(4)}
    module.start_linear(torch.eye(4), torch.eye(4), **biases)
    x = torch.ones(1, 4)
    torch.testing.assert_close(module.encode(x), torch.full((1, 4), 7.0))
    torch.testing.assert_close(module(x), torch.full((1, 4), 9.0))
    module.start_linear(torch.eye(4), torch.eye(4))
    torch.testing.assert_close(module(x), x)


@torch.no_grad()
@pytest.mark.parametrize("half", ["encode", "decode"])
def test_a_half_works_without_the_parts_that_it_does_not_use(module, half):
    rows = {"encode": torch.randn(5, 12), "decode": torch.randn(5, 3)}[half]
    expected = getattr(module, half)(rows)
    small = copy.deepcopy(module)
    for name in small.unused_in(half):
        delattr(small, name)
    wrapped = (Encoder if half == "encode" else Decoder)(small)
    assert torch.equal(wrapped(rows), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda **params: DenseAutoencoder(12, 3, **params),
        lambda **params: ConvolutionalAutoencoder((4, 3), 3, **params),
    ],
)
def test_decoder_ends_in_its_link(make):
    z = torch.randn(5, 3)
    assert make().link == "identity"
    assert make(binary_output=True).link == "sigmoid"
    for link, function in LINKS.items():
        module = make(link=link)
        assert torch.equal(module.decode(z), function(module.decode_logits(z)))
    with pytest.raises(ValueError, match=r"link must be 'identity', .*\. Got 'no'"):
        make(link="no")


class WithAll(Own):
    """A module with every member that skae uses of any module."""

    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components)
        self.encoder = nn.Sequential(nn.Linear(n_features, 4), nn.ReLU())
        self.encoder.append(nn.Linear(4, n_components))
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(()))
        self.called = []

    n_activations = 10**6

    def encode(self, x):
        return self.encoder((x - self.mean) / self.scale)

    def hidden(self, x):
        return [self.encoder[:2]((x - self.mean) / self.scale)]

    def standardize(self, mean, scale):
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def logits_with_gradient(self, x):
        with torch.enable_grad():
            x_hat = self.decode(self.encode(x))
        self.called.append("logits_with_gradient")
        return x_hat.detach(), x_hat.backward

    def end_as(self, x, x_hat):
        return x_hat.round()

    def unused_in(self, half):
        return ["to_row"] if half == "encode" else ["encoder", "to_code"]


def test_skae_uses_the_members_of_ones_own_module():
    X = np.random.default_rng(0).normal(5, 2, size=(60, 6)).astype(np.float32)
    params = {"module": WithAll, "max_epochs": 2, "random_state": 0}
    model = AutoencoderTransformer(3, **params).fit(X)
    assert set(model.module_.called) == {"logits_with_gradient"}
    plain = AutoencoderTransformer(3, module=Own, max_epochs=1).fit(X)
    assert model.net_.evaluation_rows < plain.net_.evaluation_rows
    X_hat = model.reconstruct(X)
    assert np.array_equal(X_hat, X_hat.round())
    assert not hasattr(model.encoder_module_.autoencoder, "to_row")
    assert not hasattr(model.decoder_module_.autoencoder, "encoder")
    assert model.set_params(output="hidden").transform(X).shape == (60, 4)

    new = AutoencoderTransformer(3, **params)
    for pretrainer, mean in (new, X.mean(axis=0)), (FrozenEstimator(model), 0.0):
        classifier = PretrainedClassifier(
            pretrainer, pretrain=False, freeze=1, max_epochs=1, random_state=0
        ).fit(X, X[:, 0] > 5)
        module = classifier.net_.module_.autoencoder
        np.testing.assert_allclose(module.mean, mean, rtol=1e-5)
        assert not module.encoder[0].weight.requires_grad
        assert module.encoder[2].weight.requires_grad


def test_a_subclass_does_not_inherit_the_gradient():
    class Changed(WithAll):
        def decode(self, z):
            return 2 * super().decode(z)

    X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    model = AutoencoderTransformer(3, module=Changed, max_epochs=1).fit(X)
    assert model.module_.called == []


def test_guide_lists_the_members_that_skae_uses_of_any_module():
    guide = Path(__file__).parents[1] / "docs" / "guide" / "own_networks.md"
    members = guide.read_text().partition("## Custom losses")[0]
    rows = re.findall(r"^\| `(.*?) \|", members, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"\w+", row.split("(")[0])}
    table = AutoencoderModule.__doc__.split("its own modules only")[0]
    rows = re.findall(r"^    ``(.*?)  ", table, re.MULTILINE)
    known = {name for row in rows for name in re.findall(r"\w+", row.split("(")[0])}
    assert listed - {"encode", "decode"} == known


def test_built_in_modules_have_one_base():
    for each in (*(make() for make in MODULES.values()), LayerAutoencoder(None, None)):
        assert isinstance(each, AutoencoderModule)
