"""The last function of a decoder of mixed columns."""

import torch
from torch import Tensor, nn

# Kinds of columns: a number, a level of a category, a mark (yes or no).
NUMBER, LEVEL, MARK = range(3)


class MixedLink(nn.Module):
    """Layer that turns the columns of categories into probabilities.

    Numbers do not change. The columns of the levels of one category are a block, which
    softmax turns into probabilities. The logistic function turns a mark (yes or no)
    into a probability.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Attributes
    ----------
    kind : tensor of shape (n_features,)
        Kind of each column: 0 for a number, 1 for a level, 2 for a mark. All are
        numbers until `set` is called.

    block : tensor of shape (n_features,)
        Number of the block of each column, from 0.

    Examples
    --------
    >>> import torch
    >>> from skae.modules._mixed_link import LEVEL, NUMBER, MixedLink
    >>> link = MixedLink(n_features=3)
    >>> link.set([NUMBER, LEVEL, LEVEL], [0, 1, 1])
    >>> link(torch.tensor([[7.0, 2.0, 2.0]]))
    tensor([[7.0000, 0.5000, 0.5000]])
    """

    kind: Tensor
    block: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("kind", torch.full((n_features,), NUMBER))
        self.register_buffer("block", torch.arange(n_features))

    def set(self, kind: object, block: object) -> None:
        """Set the kind (n_features,) and the block (n_features,) of each column."""
        self.kind.copy_(torch.as_tensor(kind))
        self.block.copy_(torch.as_tensor(block))

    def forward(self, logits: Tensor) -> Tensor:
        """Map the output of a decoder, (batch, n_features), to rows."""
        return torch.where(
            self.kind == NUMBER,
            logits,
            torch.where(
                self.kind == LEVEL, self.log_softmax(logits).exp(), logits.sigmoid()
            ),
        )

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Compute the logarithms of the probabilities of levels, in each block."""
        index = self.block.expand_as(logits)
        # There are at most as many blocks as columns. Other entries stay unused.
        highest = torch.full_like(logits, -torch.inf)
        highest = highest.scatter_reduce(1, index, logits.detach(), "amax")
        logits = logits - highest.gather(1, index)
        total = torch.zeros_like(logits).scatter_add(1, index, logits.exp())
        return logits - total.gather(1, index).log()

    def extra_repr(self) -> str:
        """Describe the layer in the representation of a module."""
        return f"n_features={len(self.kind)}"
