"""The paragraphs that the docstrings of all estimators share."""

import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

_Estimator = TypeVar("_Estimator", bound=type)

_PARAMETERS = """
output : {"code", "reconstruction", "hidden"}, default="code"
    What `transform` gives: the codes; the reconstructions, in columns named as those
    of `X`; or all hidden activations of the encoder, layer beside layer. It may be
    changed after fitting.

optimizer : {"adam", "adamw", "lbfgs", "muon", "sgd"} or torch.optim.Optimizer \
class, default="adam"
    What minimises the loss. "lbfgs" takes all rows at each step: good for small
    tables. "muon" (matrices; the rest by AdamW) needs torch 2.9. "sgd" has
    Nesterov's momentum of 0.9. Options go into `net_params`, as
    ``{"optimizer__betas": (0.9, 0.99)}``.

lr : float or "auto", default="auto"
    Learning rate, the highest one of the schedule. The loss is measured in units of
    the loss of the mean row, so no rate depends on the units of `X`. "auto" is 3e-3
    (0.1 for "sgd", 0.01 for "muon", 1 for "lbfgs").

weight_decay : float, default=0
    Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled for
    "adamw" and "muon".

lr_schedule : {"auto", "one_cycle", "cosine"}, None, callable or \
skorch.callbacks.LRScheduler, default="auto"
    How the learning rate changes: "one_cycle" rises for a tenth of the steps and
    falls to zero (Smith and Topin, 2018, arXiv:1708.07120); "cosine" falls to zero;
    None keeps it. A callable makes a torch scheduler from an optimizer, as
    ``functools.partial(StepLR, step_size=10)`` does, and that is stepped after each
    epoch. "auto" is "one_cycle", and None for "lbfgs" and where `callbacks` has an
    LRScheduler.

max_epochs : int or "auto", default="auto"
    Passes over the training rows. "auto" makes about 2,000 steps, whatever the
    number of rows, and at least one pass (100 passes for "lbfgs").

batch_size : int or "auto", default="auto"
    Rows in a step. "auto" is a tenth of the rows (a fifth for a denoiser that makes
    them noisy itself), between 16 and 256 (all rows for "lbfgs").

validation_fraction : float or None, default=0.1
    Share of the rows, drawn at random, that the state to keep is chosen by. With a
    start that is to be improved on, at least 10 rows are needed: a table of fewer
    than 100 rows is given the start. None: all rows train, and the last state is
    kept, better than the start or not.

early_stopping : bool, default=False
    Whether to stop when the validation loss has not improved for
    `n_iter_no_change` epochs. The state kept is chosen in the same way.

n_iter_no_change : int or "auto", default="auto"
    Epochs to wait for an improvement. "auto" is a third of `max_epochs`. Only used
    with ``early_stopping=True``.

tol : float, default=1e-4
    Smallest improvement that counts for `n_iter_no_change`, as a fraction of the
    best validation loss.

callbacks : list of skorch callbacks, default=None
    Callbacks for the net, as :class:`skorch.NeuralNet` takes them.

net_params : dict, default=None
    Any further arguments of :class:`skorch.NeuralNet`, such as
    ``{"compile": True}`` or ``{"iterator_train__num_workers": 2}``.

device : str or torch.device, default="auto"
    Where to compute: "cpu", "cuda", "cuda:1", "mps". "auto" is "cuda" where there
    is one, else "cpu".

warm_start : bool, default=False
    Whether `fit` goes on from the state of the earlier fit, with a new optimizer.
    With as many rows as before, it holds out the same ones.

random_state : int, RandomState instance or None, default=None
    Determines the validation rows, the initial weights, the order of the rows and
    the noise.
    The same int gives the same result bit by bit on the same machine. No global
    generator is drawn from: None, too, takes its seed from the operating system.

verbose : int, default=0
    1 shows a progress bar with the losses and the time left; 2 prints a line for
    each epoch.
"""

_INITIALIZER = """
kernel_initializer : {"auto", "kaiming_normal", "kaiming_uniform", "lecun_normal", \
"lecun_uniform", "orthogonal", "xavier_normal", "xavier_uniform"}, default="auto"
    What the weights of the layers are drawn from, by `random_state`. "auto" is as
    :class:`torch.nn.Linear` does: uniform, within one over the root of the number of
    inputs. The others are those of :mod:`torch.nn.init`, with biases of zero: kaiming
    (He, gain of "relu") is meant for "relu", "gelu" and "elu", xavier (Glorot) for
    "tanh" and "logistic", lecun for "selu". In trials "auto" was about as good as the
    best of them, and better than kaiming. Layers that the start sets, as the linear
    path and the last layers, are set by it whatever this says.
"""

_ATTRIBUTES = """
net_ : skorch.NeuralNet
    The trained net; its `history` has a row for each epoch of the last fit.

module_ : torch.nn.Module
    The trained module of the net, in evaluation mode. It takes and gives rows in
    the units of `X`.

encoder_module_, decoder_module_ : torch.nn.Module
    Copies of the encoder, rows to codes, and of the decoder, codes to rows, for a
    network of your own; see :mod:`skae.modules`.

n_components_ : int
    Size of the code.

n_iter_ : int
    Epochs trained.

loss_curve_ : list of float
    Mean training loss in each of the `n_iter_` epochs, averaged over rows and columns.

validation_loss_curve_ : list of float
    Validation loss before the first step (entry 0) and after each epoch. Empty
    without validation rows.

best_epoch_ : int
    Epochs trained at the state that was kept; 0 is the start.

best_loss_ : float
    Validation loss at `best_epoch_`; without validation rows, training loss.

n_features_in_ : int
    Number of columns of `X` in `fit`.

feature_names_in_ : ndarray of shape (n_features,)
    Names of the columns, if they all are strings.
"""

_WEIGHTS = """
encoder_weights_, decoder_weights_ : list of ndarray of shape (n_out, n_in)
    Weights of the layers of the built-in encoder, from input to code, and of the
    decoder, from code to output. The first layer is given rows that are centred and
    divided by their scale. The linear path beside the layers is
    ``module_.linear_encoder.weight`` and ``module_.linear_decoder.weight``.
"""


def filled_docs(texts: dict[str, str]) -> Callable[[_Estimator], _Estimator]:
    """Fill texts into a class docstring, in place of their names in braces.

    Entries that the docstring describes itself are left out.
    """

    def fill(estimator: _Estimator) -> _Estimator:
        doc = estimator.__doc__
        if doc is not None:  # as it is under python -OO
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
    }
)
