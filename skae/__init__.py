"""Autoencoders for scikit-learn users."""

from skae._autoencoder import AutoencoderTransformer
from skae._convolutional import ConvAutoencoder
from skae._denoising import DenoisingAutoencoder
from skae._diagnose import Diagnosis, Finding, diagnose
from skae._files import FileError, load, save
from skae._imputer import AutoencoderImputer
from skae._onnx import to_onnx
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._pretrained_classifier import PretrainedClassifier
from skae._pretrained_regressor import PretrainedRegressor
from skae._recurrent import RecurrentAutoencoder
from skae._sampler import AutoencoderSampler
from skae._skl2onnx import register_onnx_converters
from skae._sparse import SparseAutoencoder
from skae._stacked import StackedAEPretrainer
from skae._table_autoencoder import TableAutoencoder
from skae._table_encoder import TableEncoder
from skae._variational import VariationalAutoencoder

__version__ = "0.1.0"

__all__ = [
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderSampler",
    "AutoencoderTransformer",
    "ConvAutoencoder",
    "DenoisingAutoencoder",
    "Diagnosis",
    "FileError",
    "Finding",
    "PretrainedClassifier",
    "PretrainedRegressor",
    "RecurrentAutoencoder",
    "SparseAutoencoder",
    "StackedAEPretrainer",
    "TableAutoencoder",
    "TableEncoder",
    "VariationalAutoencoder",
    "__version__",
    "diagnose",
    "load",
    "register_onnx_converters",
    "save",
    "to_onnx",
]
