"""Fitted estimators as ONNX models, for other runtimes than PyTorch."""

import copy
import logging
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae._base import OUTPUTS, BaseAutoencoder
from skae._files import write_at_once
from skae._pretrained import BasePretrained

_OPSET = 18
_METHODS = ("transform", "reconstruct", "score_samples")


class _Method(nn.Module):
    """What a method of a fitted estimator makes of rows, as a torch module."""

    def __init__(self, estimator: Any, method: str) -> None:
        super().__init__()
        self.module = copy.deepcopy(estimator.net_.plain_module_).cpu().eval()
        functions: dict[str, Callable[[Any, Tensor], Tensor]] = {
            "transform": OUTPUTS[getattr(estimator, "output", "code")],
            "reconstruct": OUTPUTS["reconstruction"],
            "score_samples": partial(_minus_row_losses, estimator.net_),
        }
        self.function = functions[method]

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.module, x)


def _minus_row_losses(net: Any, module: Any, x: Tensor) -> Tensor:
    return -net.row_losses_with(module, x)


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str] | None = None,
    method: str = "transform",
) -> Any:
    """Turn a method of a fitted estimator into an ONNX model.

    The model has one input, `X`, float32 rows of any number, and one output, `output`,
    which is that of the method to rounding. It uses opset 18.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of skae.

    path : str or path-like, default=None
        Where to write the model. None writes nothing.

    method : {"transform", "reconstruct", "score_samples"}, default="transform"
        The method. Of "transform", the model gives what the parameter `output` asks
        for now. :class:`PretrainedClassifier` and :class:`PretrainedRegressor` only
        have "transform".

    Returns
    -------
    model : onnx.ModelProto
        The model.

    Raises
    ------
    ImportError
        If the packages onnx and onnxscript are not installed.

    ValueError
        If the estimator has no such method, or uses an operator that ONNX lacks.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import skae
    >>> X = load_iris().data
    >>> model = skae.AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> onnx_model = skae.to_onnx(model)  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(
    ...     onnx_model.SerializeToString()
    ... )  # doctest: +SKIP
    >>> (codes,) = session.run(None, {"X": X.astype("float32")})  # doctest: +SKIP
    """
    if not isinstance(estimator, BaseAutoencoder | BasePretrained):
        raise ValueError(
            "to_onnx takes an estimator of skae; of a pipeline, its step. Got "
            f"{estimator!r}."
        )
    check_is_fitted(estimator)
    if method not in _METHODS or not hasattr(estimator, method):
        has = ", ".join(name for name in _METHODS if hasattr(estimator, name))
        raise ValueError(
            f"method must be one of those that {type(estimator).__name__} has: {has}. "
            f"Got {method!r}."
        )
    if method == "score_samples" and estimator.net_.logarithmic_loss:
        raise ValueError(
            f"score_samples of {type(estimator).__name__} averages over random draws, "
            "which an ONNX model does not make. Use method='transform' or "
            "'reconstruct'."
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "skae.to_onnx needs the packages onnx and onnxscript. Install them: pip "
            "install onnx onnxscript, or skae with the extra 'onnx'."
        ) from error
    rows = torch.zeros(2, estimator.n_features_in_)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # What the exporter says is about itself, such as packages it could use.
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                _Method(estimator, method),
                (rows,),
                dynamo=True,
                opset_version=_OPSET,
                input_names=["X"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("n_samples")},),
                verbose=False,
            )
    except Exception as error:  # the exporter has no common class of errors
        raise ValueError(
            f"{method} of this {type(estimator).__name__} cannot be turned into ONNX, "
            "for instance for an operator that ONNX lacks; the exporter's report is "
            f"above. {error}"
        ) from error
    finally:
        logger.setLevel(level)
    model = program.model_proto
    if path is not None:
        write_at_once(Path(path), model.SerializeToString())
    return model
