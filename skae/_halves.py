"""Access to the encoder and the decoder of a fitted autoencoder as torch modules."""

import copy
from typing import Any

from torch import nn

from skae.modules import Decoder, Encoder
from skae.training import own_modes


class HalvesMixin:
    """Mixin that adds `encoder_module_` and `decoder_module_` to fitted estimators."""

    net_: Any

    def _autoencoder(self) -> nn.Module:
        """Return the trained module that encodes and decodes."""
        return self.net_.plain_module_

    @property
    def encoder_module_(self) -> Encoder:
        """A copy of the encoder, from rows to codes, as a torch module."""
        return Encoder(self._copy_of_half("encode"))

    @property
    def decoder_module_(self) -> Decoder:
        """A copy of the decoder, from codes to rows, as a torch module."""
        return Decoder(self._copy_of_half("decode"))

    def _copy_of_half(self, half: str) -> nn.Module:
        # A copy made in the caller's inference mode could not be trained.
        with own_modes():
            module: Any = copy.deepcopy(self._autoencoder())
        # A user's module is kept whole: its methods may use any of its parts.
        if hasattr(module, "unused_in"):
            for name in module.unused_in(half):
                delattr(module, name)
        for parameter in module.parameters():
            # Parameters that were fixed during fit can be trained in another network.
            parameter.requires_grad_(parameter.is_floating_point())
        return module
