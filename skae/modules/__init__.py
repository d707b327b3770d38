"""Plain PyTorch modules: encoder and decoder pairs that know nothing of scikit-learn.

A module has ``encode(x) -> z``, ``decode(z) -> x_hat`` and
``forward(x) = decode(encode(x))``. :doc:`/guide/own_networks` lists the other members
that skae uses. :class:`ConditionalMean` and :class:`ImputingNetwork` fill missing
values instead: they take rows with NaN and return complete rows.

**Trained layers in a network of your own.** A fitted estimator has `module_`, the whole
module, and its halves `encoder_module_` and `decoder_module_`. They take and return
rows in the units of the training rows, so nothing has to be standardised again. They
can be parts of any torch model. Each access to a half returns a new copy: training it,
or moving it to another device, does not change the estimator.

>>> from sklearn.datasets import load_iris
>>> from torch import nn
>>> from skae import AutoencoderTransformer
>>> autoencoder = AutoencoderTransformer(3, max_epochs=1).fit(load_iris().data)
>>> classifier = nn.Sequential(autoencoder.encoder_module_, nn.Linear(3, 3))

Train such a model as any other, with your own loop:

>>> import torch
>>> x = torch.as_tensor(load_iris().data, dtype=torch.float32)
>>> y = torch.as_tensor(load_iris().target)
>>> optimizer = torch.optim.Adam(classifier.parameters(), lr=0.01)
>>> for _ in range(3):
...     optimizer.zero_grad()
...     loss = nn.functional.cross_entropy(classifier(x), y)
...     loss.backward()
...     optimizer.step()

or with skorch, as a scikit-learn classifier:

>>> from skorch import NeuralNetClassifier
>>> net = NeuralNetClassifier(
...     classifier, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0
... )
>>> net.fit(x.numpy(), y.numpy()).predict(x.numpy()).shape
(150,)

A wrapper of the module itself shares its weights with the estimator, so training the
model also changes the results of the estimator:

>>> from skae.modules import Encoder
>>> classifier = nn.Sequential(Encoder(autoencoder.module_), nn.Linear(3, 3))

As everywhere in torch, ``requires_grad_(False)`` on a half keeps its weights fixed
while the rest is trained.
"""

from skae.modules._conditional_mean import ConditionalMean
from skae.modules._convolutional import ConvolutionalAutoencoder
from skae.modules._dense import DenseAutoencoder
from skae.modules._imputer import ImputingNetwork
from skae.modules._parts import Decoder, Encoder
from skae.modules._recurrent import SeriesAutoencoder
from skae.modules._sparse import SparseLinearAutoencoder
from skae.modules._variational import VariationalDenseAutoencoder

__all__ = [
    "ConditionalMean",
    "ConvolutionalAutoencoder",
    "Decoder",
    "DenseAutoencoder",
    "Encoder",
    "ImputingNetwork",
    "SeriesAutoencoder",
    "SparseLinearAutoencoder",
    "VariationalDenseAutoencoder",
]
