"""The members of a module that skae uses."""

from torch import Tensor, nn


class AutoencoderModule(nn.Module):
    """Base of the modules of skae, and the list of members that skae uses.

    A module of a user need not derive from this class. It needs `encode` and `decode`.
    skae looks for the other members by name and works without them.

    **Members that skae uses of any module that has them**

    ============================== ===================================================
    Member                         Used for
    ============================== ===================================================
    ``forward(x)``                 calls of the module itself, as anywhere in torch
    ``hidden(x)``                  ``output="hidden"``, ``head_input="hidden"`` of
                                   `PretrainedClassifier` and `PretrainedRegressor`,
                                   the dead units that `diagnose` counts
    ``encoder``                    ``freeze=1, 2, ...`` of `PretrainedClassifier`,
                                   first weights in `FeatureDisplay`
    ``standardize(mean, scale)``   ``pretrain=False`` of `PretrainedClassifier`
    ``mean``, ``scale``            the same, with a pretrainer that is frozen
    ``logits_with_gradient(x)``    training steps without autograd
    ``n_activations``              number of rows in a batch without gradients
    ``end_as(x, x_hat)``           `reconstruct`, for rows that end early
    ``unused_in(half)``            `encoder_module_` and `decoder_module_`
    ============================== ===================================================

    `hidden` returns a list of tensors (batch, width). `encoder` is a
    `torch.nn.Sequential` whose last layer with parameters makes the code.
    `n_activations` is the number of values that the widest layer computes for a row.
    `unused_in` is called with "encode" or "decode", and returns the names of the
    attributes that this method does not use. An inherited `logits_with_gradient` is not
    used, because a subclass may have changed the layers: the class of the module itself
    must define it.

    **Members that skae uses of its own modules only**

    ============================================== ===================================
    Member                                         Used for
    ============================================== ===================================
    ``decode_logits(z)``, ``link``                 losses before the link: ``decode(z)
                                                   = link(decode_logits(z))``
    ``standardize``, ``mean``, ``scale``           centre and scale of the rows
    ``standardize_output``, ``output_mean``,       centre and scale of the targets, of
    ``output_scale``                               denoisers that are fitted to pairs
    ``start_linear(encoder_weight,                 closed-form starts and floors
    decoder_weight, ...)``
    ``turn(matrix, inverse, centre)``,             codes in order, uncorrelated
    ``can_turn``
    ============================================== ===================================

    `start_linear` makes a module the linear map of these weights, of shapes
    (n_components, n_features) and (n_features, n_components). Its other arguments, such
    as biases, follow these two. It raises a ValueError if the module has no linear
    layers for the weights.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to codes (batch, n_components)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_features)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct rows (batch, n_features)."""
        return self.decode(self.encode(x))
