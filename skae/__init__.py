"""Autoencoders for scikit-learn users."""

from skae._autoencoder import AutoencoderTransformer
from skae._denoising import DenoisingAutoencoder

__version__ = "0.1.0.dev0"

__all__ = ["AutoencoderTransformer", "DenoisingAutoencoder", "__version__"]
