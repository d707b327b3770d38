"""Paragraphs that the docstrings of several estimators share."""

import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

_Estimator = TypeVar("_Estimator", bound=type)

_PARAMETERS = """
output : {"code", "reconstruction", "hidden"}, default="code"
    What `transform` returns: the codes, the reconstructions, or the activations of
    all hidden layers of the encoder, concatenated. The columns of reconstructions
    have the names of the columns of `X`. It may be changed after fitting.

optimizer : {"adam", "adamw", "lbfgs", "muon", "sgd"} or torch.optim.Optimizer \
class, default="adam"
    Optimizer that minimises the loss. "lbfgs" uses all rows in each step and suits
    small tables. "muon" trains matrices by Muon and all other parameters by AdamW;
    it needs torch 2.9. "sgd" uses Nesterov's momentum of 0.9. Pass options of the
    optimizer in `net_params`, such as ``{"optimizer__betas": (0.9, 0.99)}``.

lr : float or "auto", default="auto"
    Learning rate; the highest one if there is a schedule. The loss is measured in
    units of the loss of the mean row, so the best rate does not depend on the units
    of `X`. "auto" is 3e-3 (0.1 for "sgd", 0.01 for "muon", 1 for "lbfgs").

weight_decay : float, default=0
    Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled for
    "adamw" and "muon".

lr_schedule : {"auto", "one_cycle", "cosine"}, None, callable or \
skorch.callbacks.LRScheduler, default="auto"
    Schedule of the learning rate. "one_cycle" rises for a tenth of the steps and
    then falls to zero (Smith and Topin, 2018, arXiv:1708.07120). "cosine" falls to
    zero from the start. None keeps the rate constant. A callable, such as
    ``functools.partial(StepLR, step_size=10)``, makes a torch scheduler from an
    optimizer; the scheduler is stepped after each epoch. "auto" is "one_cycle"; it
    is None for "lbfgs" and if `callbacks` has an LRScheduler.

max_epochs : int or "auto", default="auto"
    Maximum number of passes over the training rows. "auto" makes about 2,000 steps,
    whatever the number of rows, and at least one pass (100 passes for "lbfgs").

batch_size : int or "auto", default="auto"
    Number of rows in each step. "auto" is a tenth of the rows, between 16 and 256.
    It is a fifth of the rows for a denoiser that adds the noise itself, and all
    rows for "lbfgs".

validation_fraction : float or None, default=0.1
    Share of the rows, drawn at random, to hold out for validation. Their loss
    decides which state is kept. If training has to improve on its start, at least
    10 validation rows are needed: a table of fewer than 100 rows keeps the start.
    None trains on all rows and keeps the last state, even if the start was better.

early_stopping : bool, default=False
    Whether to stop when the validation loss has not improved for
    `n_iter_no_change` epochs. It does not change how the state to keep is chosen.

n_iter_no_change : int or "auto", default="auto"
    Number of epochs to wait for an improvement. "auto" is a third of `max_epochs`. Only
    used with ``early_stopping=True``.

tol : float, default=1e-4
    Smallest improvement that counts for `n_iter_no_change`, as a fraction of the
    best validation loss.

callbacks : list of skorch callbacks, default=None
    Callbacks of the net, in the form that :class:`skorch.NeuralNet` accepts.

net_params : dict, default=None
    Further arguments of :class:`skorch.NeuralNet`, such as
    ``{"compile": True}`` or ``{"iterator_train__num_workers": 2}``.

device : str or torch.device, default="auto"
    Device to compute on: "cpu", "cuda", "cuda:1", "mps". "auto" is "cuda" if it is
    available, else "cpu".

warm_start : bool, default=False
    Whether `fit` continues from the state of the previous fit, with a new optimizer.
    If the number of rows is the same, it holds out the same rows.

random_state : int, RandomState instance or None, default=None
    Determines the validation rows, the initial weights, the order of the rows and
    the noise. The same int produces the same result bit by bit on the same machine.
    Global generators are not used; None takes a new seed from the operating system.

verbose : int, default=0
    1 shows a progress bar with the losses and the remaining time, or about ten lines
    where standard output is a file. 2 prints a line for each epoch.
"""

_SIZE = """
n_components : int or float, default=2
    Size of the latent code. It may exceed the number of columns. A float between 0 and
    1 is the share of the variance of held-out rows to explain: `fit` tries up to five
    sizes and keeps the smallest one that explains it.
"""

_SEARCH = """
n_components_search_ : dict
    Search for the size, only set if `n_components` is a float. "n_components" has the
    sizes in the order of the search. "score" has their scores on held-out rows: R²
    weighted by the variance of the columns, or the score of PCA where it is kept.
    "pca_score" has the scores of PCA with 1, 2, ... components. A table too small to
    hold rows out is scored as a whole. "share" is the float that `n_components` was.
"""

_INITIALIZER = """
kernel_initializer : {"auto", "kaiming_normal", "kaiming_uniform", "lecun_normal", \
"lecun_uniform", "orthogonal", "xavier_normal", "xavier_uniform"}, default="auto"
    Distribution that the initial weights of the layers are drawn from. "auto" is
    that of :class:`torch.nn.Linear`: uniform, up to one over the square root of the
    number of inputs. The others are those of :mod:`torch.nn.init`, with biases of
    zero. Kaiming (He, with the gain of "relu") is meant for "relu", "gelu" and
    "elu", xavier (Glorot) for "tanh" and "logistic", and lecun for "selu". In trials
    "auto" was about as good as the best of them, and better than kaiming. The
    parameter has no effect on layers that the start sets, such as the linear path
    and the last layers.
"""

_ATTRIBUTES = """
net_ : skorch.NeuralNet
    The trained net. Its `history` has a row for each epoch of the last fit.

module_ : torch.nn.Module
    The trained module of the net, in evaluation mode. Its inputs and outputs are in
    the units of `X`.

encoder_module_, decoder_module_ : torch.nn.Module
    Copies of the encoder, from rows to codes, and of the decoder, from codes to
    rows. Use them in a network of your own; see :mod:`skae.modules`.

n_components_ : int
    Size of the code.

n_iter_ : int
    Number of epochs trained.

loss_curve_ : list of float
    Mean training loss in each of the `n_iter_` epochs, averaged over rows and columns.

validation_loss_curve_ : list of float
    Validation loss before the first step (entry 0) and after each epoch. It is empty
    if there are no validation rows.

best_epoch_ : int
    Epoch whose state was kept; 0 is the start.

best_loss_ : float
    Validation loss at `best_epoch_`, or training loss if there are no validation
    rows.

n_features_in_ : int
    Number of columns of `X` in `fit`.

feature_names_in_ : ndarray of shape (n_features,)
    Names of the columns, if all of them are strings.
"""

_WEIGHTS = """
explained_variance_ratio_ : ndarray of shape (n_components,)
    Share of the variance of `X` that each component explains by itself with the best
    linear decoder; equal to PCA's where PCA is kept. Components are uncorrelated and
    sorted by this share. The sum is less than `score`, as the decoder is not linear. At
    most 8,192 rows are used, fewer if there are more than 512 columns, and eight times
    as many if the start is kept. For a smaller code, fit again: the first components of
    a larger code are about as good as PCA of that size. Access raises an AttributeError
    with the reason if weights are tied, if the module is your own, if there are more
    components than rows, columns or 1,000, and after `partial_fit`.

explained_variance_ : ndarray of shape (n_components,)
    Variance of each component, which is the variance that it explains, as in
    :class:`~sklearn.decomposition.PCA`. Missing where `explained_variance_ratio_` is.

singular_values_ : ndarray of shape (n_components,)
    Norm of each component over all rows. Missing where `explained_variance_ratio_` is.

encoder_weights_, decoder_weights_ : list of ndarray of shape (n_out, n_in)
    Weights of the layers of the built-in encoder, from input to code, and of the
    decoder, from code to output. The input of the first layer is centred and divided
    by its scale. The weights of the linear path beside the layers are
    ``module_.linear_encoder.weight`` and ``module_.linear_decoder.weight``.
"""


def filled_docs(texts: dict[str, str]) -> Callable[[_Estimator], _Estimator]:
    """Build a decorator that replaces names in braces in a class docstring by texts.

    Skip entries that the docstring already has.
    """

    def fill(estimator: _Estimator) -> _Estimator:
        doc = estimator.__doc__
        if doc is not None:  # python -OO removes docstrings
            for name, text in texts.items():
                entries = [
                    entry
                    for entry in re.split(r"\n\n(?=\w)", text.strip())
                    if f"\n    {entry.partition(' :')[0]} : " not in doc
                ]
                block = textwrap.indent("\n\n".join(entries), " " * 4).strip()
                doc = doc.replace(f"{{{name}}}", block)
            estimator.__doc__ = doc
        return estimator

    return fill


shared_docs = filled_docs(
    {
        "initializer": _INITIALIZER,
        "parameters": _PARAMETERS,
        "attributes": _ATTRIBUTES,
        "weights": _WEIGHTS,
        "size": _SIZE,
        "search": _SEARCH,
    }
)


def _without(text: str, *names: str) -> str:
    """Return the entries of a text without those of some names."""
    entries = re.split(r"\n\n(?=\w)", text.strip())
    return "\n\n".join(e for e in entries if e.partition(" :")[0] not in names)


imputer_docs = filled_docs(
    {
        "parameters": _without(_PARAMETERS, "output", "warm_start"),
        "attributes": _without(
            _ATTRIBUTES, "encoder_module_, decoder_module_", "n_components_"
        ),
    }
)
