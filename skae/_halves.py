"""The halves of a fitted autoencoder, for a network of one's own."""

import copy
from typing import Any

import torch
from torch import nn

from skae.modules import Decoder, Encoder
from skae.modules._parts import without_idle_parts


class HalvesMixin:
    """Give a fitted estimator `encoder_module_` and `decoder_module_`."""

    net_: Any
    n_features_in_: int
    n_components_: int

    def _autoencoder(self) -> nn.Module:
        """Give the trained module that encodes and decodes."""
        return self.net_.plain_module_

    @property
    def encoder_module_(self) -> Encoder:
        """A copy of the encoder, rows to codes, as a torch module."""
        return self._half(Encoder(self._autoencoder()), self.n_features_in_)

    @property
    def decoder_module_(self) -> Decoder:
        """A copy of the decoder, codes to rows, as a torch module."""
        return self._half(Decoder(self._autoencoder()), self.n_components_)

    def _half(self, half: Any, d_in: int) -> Any:
        # Of a module of the user's, nobody knows what its methods look at.
        if not type(half.autoencoder).__module__.startswith("skae.modules"):
            return copy.deepcopy(half)
        return without_idle_parts(half, torch.zeros(2, d_in, device=self.net_.device))
