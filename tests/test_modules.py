"""The torch modules, without scikit-learn."""

import pytest
import torch
from torch import nn

from skae.losses import mean_loss_with_gradient
from skae.modules import DenseAutoencoder, VariationalDenseAutoencoder
from skae.modules._layers import ACTIVATIONS

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
    module = DenseAutoencoder(n_features=4, n_components=2)
    seen = []
    module.encoder[0].register_forward_hook(lambda *args: seen.append(len(args[2])))
    module.logits_with_gradient(torch.zeros(7, 4))
    assert seen == [7]


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
