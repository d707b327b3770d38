"""The paragraphs that the docstrings of the classifier and the regressor share."""

from collections.abc import Callable

from skae._docs import _Estimator, filled_docs

_PRETRAINED_PARAMETERS = """
pretrainer : autoencoder or None, default=None
    An autoencoder of skae. It is cloned and fitted on all rows, labelled or not. If
    its `random_state` is None, a seed is set. To use a fitted autoencoder as it is,
    pass it in a :class:`sklearn.frozen.FrozenEstimator`. None is a
    :class:`DenoisingAutoencoder` with 30 % swap noise [2]_, random initial weights,
    two hidden layers of 100 and half as many components as there are columns, between
    4 and 32.

pretrain : bool, default=True
    Whether to pretrain the encoder. False starts from random weights in a net of the
    same architecture, which shows how much pretraining helps. The columns are still
    centred and scaled.

head_input : {"hidden", "code"}, default="hidden"
    Input of the head, which is standardised: the activations of all hidden layers of
    the encoder side by side, or the latent codes.

head_hidden_layer_sizes : int or sequence of int, default=()
    Widths of the head's hidden layers. ``()`` is a linear head.

dropout : float, default=0.3
    Probability that an input of the head is set to zero in training.

lr : float, default=3e-3
    Highest learning rate of AdamW. The schedule rises for a tenth of the steps and
    then falls to zero.

encoder_lr : float or None, default=None
    Learning rate of the encoder. None is `lr`.

weight_decay : float, default=0.01
    Decoupled weight decay of AdamW.

max_epochs : int or "auto", default="auto"
    Passes over the training rows of the net. "auto" makes about 300 steps, or 20 for
    each class if that is more, and at least one pass. Pseudo-labelled rows add as many
    steps again, or fewer if there are fewer of them than labelled rows.

batch_size : int or "auto", default="auto"
    Rows in a step. "auto" is all training rows of the net, at most 128.

freeze : {"none", "all"} or int, default="none"
    Part of the encoder that is not trained: nothing, all, or this number of hidden
    layers, counted from the input. The linear path is not one of these layers.

freeze_epochs : int, default=0
    First epochs, which train only the head.

reconstruction_weight : float, default=0.0
    Weight of the autoencoder's squared error in the loss, relative to the variance of
    the columns. The error is that of the training rows of the net. It has no effect
    with ``freeze="all"``.

early_stopping : bool, default=False
    Whether to hold out labelled rows, to stop when their loss has not improved for
    `n_iter_no_change` epochs, and to keep the state in which it was lowest.

validation_fraction : float, default=0.1
    Share of the labelled rows to hold out{stratified}. Only used with
    ``early_stopping=True``.

n_iter_no_change : int or "auto", default="auto"
    Epochs to wait for an improvement. "auto" is a third of `max_epochs`. Only used
    with ``early_stopping=True``.

callbacks : list of skorch callbacks, default=None
    Callbacks of the net of the last training. A
    :class:`skorch.callbacks.LRScheduler` replaces the schedule.

net_params : dict, default=None
    Further arguments of that net, a :class:`skorch.NeuralNet`.

device : str or torch.device, default="auto"
    Device to compute on: "cpu", "cuda", "cuda:1", "mps". "auto" is "cuda" if there is
    one, else "cpu". A `pretrainer` has its own parameter.

random_state : int, RandomState instance or None, default=None
    Seed of the pretraining, the initial weights, the dropout, the order of the rows,
    the held-out rows and the teachers. Pass an int for the same result bit by bit on
    the same machine. Global generators are not used.

verbose : int, default=0
    1 shows a progress bar with the losses and the time left, or about ten lines if
    standard output is a file. 2 prints a line for each epoch. A `pretrainer` has its
    own parameter.
"""

_PRETRAINED_ATTRIBUTES = """
pretrainer_ : autoencoder or None
    The fitted autoencoder that training started from. A frozen one is not copied. None
    with ``pretrain=False``.

net_ : skorch.NeuralNet
    The trained net. Its module is ``net_.module_``.

encoder_module_, decoder_module_ : torch.nn.Module
    Copies of the trained encoder, rows to codes, and of the decoder, codes to rows, for
    a network of your own; see :mod:`skae.modules`.

n_components_ : int
    Size of the code.

n_labelled_ : int
    Number of labelled rows with a positive weight.

teacher_weights_ : dict of str to float
    Weight of each teacher in the vote on the unlabelled rows; they sum to 1. Empty
    without a vote.

n_pseudo_labelled_ : int
    Number of rows that teachers voted on.

n_iter_ : int
    Number of epochs of the net.

loss_curve_ : list of float
    Mean training loss in each epoch{loss}.

validation_loss_curve_ : list of float
    Loss of the held-out rows before the first step (entry 0) and after each epoch.
    Empty without ``early_stopping=True``.

n_features_in_ : int
    Number of columns of `X` in `fit`.

feature_names_in_ : ndarray of shape (n_features,)
    Names of the columns, if they all are strings.
"""

_PRETRAINED_NOTES = """
Equal rows count as one row with the sum of their weights, and training sorts the rows
first. So a row of weight 2 is exactly the same as two rows, and the order of the rows
does not matter.

With ``head_input="hidden"``, labels change the codes of `transform` through the hidden
layers only. The layer that computes codes from them and the linear path beside it stay
as the pretrainer left them. If the pretrainer kept its start in closed form, the codes
are linear, and the hidden layers come from its training.

To cross-validate with unlabelled rows, score the labelled rows only, as in
``cv=[(train, test[labelled[test]]) for train, test in KFold(5).split(X)]`` with a mask
``labelled``. {unlabelled_score}

Compare with ``pretrain=False`` and with :class:`sklearn.svm.{svm}`{spreading}: no
method is best on all tables.
"""

_PRETRAINED_REFERENCES = """
.. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with
   neural networks", Science 313, 2006.

.. [2] M. Jahrer, "1st place solution: representation learning", Porto Seguro's Safe
   Driver Prediction, Kaggle, 2017.

.. [3] D. Erhan, Y. Bengio, A. Courville, P.-A. Manzagol, P. Vincent and S. Bengio,
   "Why does unsupervised pre-training help deep learning?", Journal of Machine
   Learning Research 11, 2010.
"""


def pretrained_docs(**words: str) -> Callable[[_Estimator], _Estimator]:
    """Fill the shared paragraphs into a class docstring, with words of its own."""
    texts = {
        "parameters": _PRETRAINED_PARAMETERS,
        "attributes": _PRETRAINED_ATTRIBUTES,
        "notes": _PRETRAINED_NOTES,
        "references": _PRETRAINED_REFERENCES,
    }
    for name, word in words.items():
        texts = {k: text.replace(f"{{{name}}}", word) for k, text in texts.items()}
    return filled_docs(texts)
