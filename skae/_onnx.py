"""Fitted estimators as ONNX models, for other runtimes than PyTorch."""

import copy
import logging
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import IO, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae._base import OUTPUTS, BaseAutoencoder
from skae._files import check_place, write
from skae._pretrained import BasePretrained
from skae.training import own_modes

OPSET = 18
_METHODS = ("transform", "reconstruct", "score_samples", "predict", "predict_proba")


class _Method(nn.Module):
    """What a method of a fitted estimator makes of rows, as a torch module."""

    def __init__(self, estimator: Any, method: str) -> None:
        super().__init__()
        self.module = copy.deepcopy(estimator.net_.plain_module_).cpu().eval()
        functions: dict[str, Callable[[Any, Tensor], Tensor]] = {
            "transform": OUTPUTS[getattr(estimator, "output", "code")],
            "reconstruct": OUTPUTS["reconstruction"],
            "score_samples": partial(_minus_row_losses, estimator.net_),
            "predict_proba": _probabilities,
            "predict": partial(_targets, estimator),
        }
        self.function = functions[method]
        recurrent = nn.RNNBase | nn.RNNCellBase
        self.is_recurrent = any(isinstance(m, recurrent) for m in self.module.modules())

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_recurrent:
            return self.function(self.module, x)
        # Of no rows, the recurrent layers of onnxruntime end the process.
        one_more = torch.cat([x, x.new_zeros(1, x.shape[1])])
        return self.function(self.module, one_more)[:-1]


def _minus_row_losses(net: Any, module: Any, x: Tensor) -> Tensor:
    return -net.row_losses_with(module, x)


def _probabilities(module: Any, x: Tensor) -> Tensor:
    return module(x).softmax(dim=1)


def _targets(regressor: Any, module: Any, x: Tensor) -> Tensor:
    mean, scale = regressor._target_mean, regressor._target_scale
    y = torch.as_tensor(mean) + torch.as_tensor(scale) * module(x)
    return (y[:, 0] if regressor._one_dimensional else y).float()


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str] | IO[bytes] | None = None,
    method: str = "transform",
) -> Any:
    """Turn a method of a fitted estimator into an ONNX model.

    The model has one input, `X`, float32 rows of any number, and one output, `output`,
    which is that of the method to rounding. It uses opset 18.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of skae.

    path : str, path-like or binary file object, default=None
        Where to write the model. None writes nothing.

    method : {"transform", "reconstruct", "score_samples", "predict", \
            "predict_proba"}, default="transform"
        The method, one that the estimator has. Of "transform", the model gives what
        the parameter `output` asks for now. "predict" and "predict_proba" are of
        :class:`PretrainedClassifier` and :class:`PretrainedRegressor`.

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

    See Also
    --------
    register_onnx_converters : For pipelines that hold estimators of skae.

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
            "to_onnx takes an estimator of skae; for a pipeline that holds some, see "
            f"register_onnx_converters. Got {estimator!r}."
        )
    check_is_fitted(estimator)
    if path is not None:
        check_place(path, "write")
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
    labels = method == "predict" and hasattr(estimator, "classes_")
    model = exported(estimator, "predict_proba" if labels else method, OPSET)
    if labels:
        _end_in_labels(model, estimator.classes_)
    if path is not None:
        write(path, model.SerializeToString())
    return model


def exported(estimator: Any, method: str, opset: int) -> Any:
    """Let torch's exporter turn a method that gives floats into a model."""
    rows = torch.zeros((2, estimator.n_features_in_), dtype=torch.float32, device="cpu")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # What the exporter says is about itself, such as packages it could use.
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), own_modes(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                _Method(estimator, method),
                (rows,),
                dynamo=True,
                opset_version=opset,
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
    return program.model_proto


def label_nodes(
    classes: np.ndarray, probabilities: str, labels: str
) -> tuple[list[Any], Any]:
    """Nodes that choose the most probable classes, and the constant they need."""
    from onnx import helper, numpy_helper

    index, known = f"{labels}_index", f"{labels}_classes"
    values = label_values(classes)
    nodes = [
        helper.make_node(
            "ArgMax", [probabilities], [index], name=index, axis=1, keepdims=0
        ),
        helper.make_node("Gather", [known, index], [labels], name=labels, axis=0),
    ]
    return nodes, numpy_helper.from_array(values, known)


def label_values(classes: np.ndarray) -> np.ndarray:
    """Give classes as ONNX has them: integers are int64, texts are objects."""
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    return classes.astype(object) if classes.dtype.kind in "UO" else classes


def _end_in_labels(model: Any, classes: np.ndarray) -> None:
    """Let a model that gives probabilities give labels."""
    from onnx import helper

    graph = model.graph
    probabilities = "probabilities"
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == "output":
                node.output[i] = probabilities
    nodes, known = label_nodes(classes, probabilities, "output")
    graph.node.extend(nodes)
    graph.initializer.append(known)
    n_samples = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    info = helper.make_tensor_value_info("output", known.data_type, [n_samples])
    graph.output[0].CopyFrom(info)
