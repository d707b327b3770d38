"""Plain PyTorch modules: encoder and decoder pairs that know nothing of scikit-learn.

A module has ``encode(x) -> z``, ``decode(z) -> x_hat`` and
``forward(x) = decode(encode(x))``.

**Trained layers in a network of your own.** A fitted estimator has `module_`, the whole
module, and its halves `encoder_module_` and `decoder_module_`. They take and give rows
in the units of the training rows, so nothing has to be standardised again, and go into
any torch model. Each access to a half gives a new copy: training it, or moving it to
another device, leaves the estimator as it is.

>>> from sklearn.datasets import load_iris
>>> from torch import nn
>>> from skae import AutoencoderTransformer
>>> autoencoder = AutoencoderTransformer(3, max_epochs=1).fit(load_iris().data)
>>> classifier = nn.Sequential(autoencoder.encoder_module_, nn.Linear(3, 3))

Such a model is trained as any other, by a loop of your own:

>>> import torch
>>> x = torch.as_tensor(load_iris().data, dtype=torch.float32)
>>> y = torch.as_tensor(load_iris().target)
>>> optimizer = torch.optim.Adam(classifier.parameters(), lr=0.01)
>>> for _ in range(3):
...     optimizer.zero_grad()
...     loss = nn.functional.cross_entropy(classifier(x), y)
...     loss.backward()
...     optimizer.step()

or by skorch, as a scikit-learn classifier:

>>> from skorch import NeuralNetClassifier
>>> net = NeuralNetClassifier(
...     classifier, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0
... )
>>> net.fit(x.numpy(), y.numpy()).predict(x.numpy()).shape
(150,)

To share the weights instead, so that training the model changes what the estimator
gives, wrap the module itself:

>>> from skae.modules import Encoder
>>> classifier = nn.Sequential(Encoder(autoencoder.module_), nn.Linear(3, 3))

As everywhere in torch, ``requires_grad_(False)`` on a half keeps it as it is while the
rest is trained.
"""

from skae.modules._convolutional import ConvolutionalAutoencoder
from skae.modules._dense import DenseAutoencoder
from skae.modules._parts import Decoder, Encoder
from skae.modules._recurrent import SeriesAutoencoder
from skae.modules._sparse import SparseLinearAutoencoder
from skae.modules._variational import VariationalDenseAutoencoder

__all__ = [
    "ConvolutionalAutoencoder",
    "Decoder",
    "DenseAutoencoder",
    "Encoder",
    "SeriesAutoencoder",
    "SparseLinearAutoencoder",
    "VariationalDenseAutoencoder",
]
