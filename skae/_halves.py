"""The halves of a fitted autoencoder, for a network of one's own."""

import copy
from typing import Any

from torch import nn

from skae.modules import Decoder, Encoder
from skae.training import own_modes


class HalvesMixin:
    """Give a fitted estimator `encoder_module_` and `decoder_module_`."""

    net_: Any

    def _autoencoder(self) -> nn.Module:
        """Give the trained module that encodes and decodes."""
        return self.net_.plain_module_

    @property
    def encoder_module_(self) -> Encoder:
        """A copy of the encoder, rows to codes, as a torch module."""
        return Encoder(self._copy_without_the_parts_idle_in("encode"))

    @property
    def decoder_module_(self) -> Decoder:
        """A copy of the decoder, codes to rows, as a torch module."""
        return Decoder(self._copy_without_the_parts_idle_in("decode"))

    def _copy_without_the_parts_idle_in(self, half: str) -> nn.Module:
        with (
            own_modes()
        ):  # in inference mode, it would be a copy that cannot be trained
            module: Any = copy.deepcopy(self._autoencoder())
        # Of a module of the user's, nobody knows what its methods look at.
        if hasattr(module, "unused_in"):
            for name in module.unused_in(half):
                delattr(module, name)
        for parameter in module.parameters():
            # What a fit kept fixed is the network's own to train.
            parameter.requires_grad_(parameter.is_floating_point())
        return module
