"""Export of fitted estimators to ONNX models, for other runtimes than PyTorch."""

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

from skae._conformal import margins
from skae._files import check_place, write
from skae._fitted import OUTPUTS
from skae._fitting import RecipeEstimator
from skae._imputer import AutoencoderImputer
from skae._mixture import log_density
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._outlier_scores import error_weight, mixture_of
from skae._pretrained import BasePretrained
from skae._wrapped import steps_of
from skae.modules import ConditionalMean
from skae.training import own_modes

OPSET = 18
_ROUNDING = 2e-6
_METHODS = (
    *("transform", "reconstruct", "score_samples", "decision_function"),
    *("predict", "predict_proba"),
)


class _Method(nn.Module):
    """A method of a fitted estimator as a torch module."""

    def __init__(self, estimator: Any, method: str) -> None:
        super().__init__()
        net = _net_estimator(estimator).net_
        self.module = copy.deepcopy(net.plain_module_).cpu().eval()
        _fill_only_gaps(self.module)
        functions: dict[str, Callable[[Any, Tensor], Tensor]]
        if isinstance(estimator, AutoencoderOutlierDetector):
            functions = _outlier_functions(estimator)
        else:
            functions = {
                "transform": _transform(estimator),
                "reconstruct": OUTPUTS["reconstruction"],
                "score_samples": partial(_minus_row_losses, estimator),
                "decision_function": _class_scores,
                "predict_proba": _probabilities,
                "predict": partial(_targets, estimator),
            }
        self.function = functions[method]
        recurrent = nn.RNNBase | nn.RNNCellBase
        self.is_recurrent = any(isinstance(m, recurrent) for m in self.module.modules())

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_recurrent:
            return self.function(self.module, x)
        # Recurrent layers of onnxruntime end the process if the batch has no rows.
        one_more = torch.cat([x, x.new_zeros(1, x.shape[1])])
        return self.function(self.module, one_more)[:-1]


class _FillGaps(nn.Module):
    """Layer that fills missing values if a batch has any, to save time if not."""

    def __init__(self, fill: ConditionalMean) -> None:
        super().__init__()
        self.fill = fill

    def forward(self, x: Tensor) -> Tensor:
        # The branches must return tensors of their own.
        return torch.cond(x.isnan().any(), self.fill, torch.clone, (x,))


def _fill_only_gaps(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ConditionalMean) and child.is_set:
                setattr(parent, name, _FillGaps(child))


def _transform(estimator: Any) -> Callable[[Any, Tensor], Tensor]:
    if isinstance(estimator, AutoencoderImputer):
        return estimator._transform_as_tensor
    return OUTPUTS[getattr(estimator, "output", "code")]


def _minus_row_losses(estimator: Any, module: Any, x: Tensor) -> Tensor:
    missing = any(isinstance(each, _FillGaps) for each in module.modules())
    return -estimator.net_.row_losses_with(module, x, missing)


def _net_estimator(estimator: Any) -> Any:
    """Return the estimator with the net; a detector wraps it."""
    if isinstance(estimator, AutoencoderOutlierDetector):
        return estimator._model
    return estimator


def _outlier_functions(detector: Any) -> dict[str, Callable[[Any, Tensor], Tensor]]:
    score, offset = _outlier_score(detector), detector.offset_
    # The threshold may be the score of a row of `fit`, which is rounded in float32.
    offset -= _ROUNDING * abs(offset)
    return {
        "score_samples": score,
        "decision_function": lambda module, x: margins(score(module, x), offset),
        "predict": lambda module, x: 1 - 2 * (score(module, x) < offset).long(),
    }


def _outlier_score(detector: Any) -> Callable[[Any, Tensor], Tensor]:
    if detector._score == "error":
        return lambda module, x: -_row_errors(module, x)
    state = detector._state
    weight = error_weight(detector._model, state)
    mixture = [torch.from_numpy(each).float() for each in mixture_of(state)]

    def density(module: Any, x: Tensor) -> Tensor:
        code = OUTPUTS["code"](module, x)
        return log_density(code, *mixture) - weight * _row_errors(module, x)

    return density


def _row_errors(module: Any, x: Tensor) -> Tensor:
    """Return mean squared errors of the observed values."""
    error = (x - OUTPUTS["reconstruction"](module, x)).square()
    there = ~error.isnan()
    count = there.sum(dim=1).clamp(min=1)
    return torch.where(there, error, 0.0).sum(dim=1) / count


def check_converts(detector: Any) -> None:
    """Raise if a detector cannot be an ONNX model."""
    if detector._score == "neighbors":
        raise ValueError(
            "ONNX models cannot search neighbours. Fit the detector with "
            "outlier_score='error' or 'density'."
        )
    n_steps = len(steps_of(detector.autoencoder_))
    if n_steps > 1:
        raise ValueError(
            "to_onnx does not convert a detector whose autoencoder is a pipeline. Got "
            f"one of {n_steps} steps. Put the other steps before the detector instead: "
            "make_pipeline(StandardScaler(), AutoencoderOutlierDetector())."
        )


def _class_scores(module: Any, x: Tensor) -> Tensor:
    scores: Tensor = module(x)
    return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


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
    """Convert a method of a fitted estimator to an ONNX model.

    The model has one input `X`, any number of float32 rows, and one output `output`. It
    equals the result of the method up to rounding errors. The model uses opset 18. Its
    input may have NaN if rows of the estimator may.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of skae.

    path : str, path-like or binary file object, default=None
        File to write the model to. None writes no file.

    method : {"transform", "reconstruct", "score_samples", "decision_function", \
            "predict", "predict_proba"}, default="transform"
        Name of the method, which the estimator must have. "transform" uses the current
        value of the parameter `output`. "predict" is a method of
        :class:`PretrainedClassifier`, :class:`PretrainedRegressor` and
        :class:`AutoencoderOutlierDetector`, "predict_proba" one of
        :class:`PretrainedClassifier`, and "decision_function" one of
        :class:`PretrainedClassifier` and :class:`AutoencoderOutlierDetector`. The
        `outlier_score` of the latter must be "error" or "density".

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
    register_onnx_converters : Convert pipelines that contain estimators of skae.

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
    kinds = RecipeEstimator | BasePretrained | AutoencoderOutlierDetector
    if not isinstance(estimator, kinds):
        raise ValueError(
            "to_onnx accepts an estimator of skae. To convert a pipeline that contains "
            f"one, use register_onnx_converters. Got {estimator!r}."
        )
    check_is_fitted(estimator)
    if path is not None:
        check_place(path, "write")
    if method not in _METHODS or not hasattr(estimator, method):
        has = ", ".join(name for name in _METHODS if hasattr(estimator, name))
        raise ValueError(
            f"method must be one that {type(estimator).__name__} has: {has}. Got "
            f"{method!r}."
        )
    if isinstance(estimator, AutoencoderOutlierDetector):
        check_converts(estimator)
    elif method == "score_samples" and estimator.net_.objective.logarithmic:
        raise ValueError(
            f"score_samples of {type(estimator).__name__} averages over random draws, "
            "which are not supported in ONNX models. Use method='transform' or "
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
    """Convert a method that returns floats to a model with the exporter of torch."""
    model = _net_estimator(estimator)
    if not getattr(model, "_module_takes_rows", True):
        raise ValueError(
            f"{type(model).__name__} accepts tables of mixed columns, but ONNX models "
            "accept matrices of numbers. Export its module_ with torch.onnx, and pass "
            "the matrix of encoder_.transform(X) to the model."
        )
    rows = torch.zeros((2, estimator.n_features_in_), dtype=torch.float32, device="cpu")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # The exporter's messages concern itself, such as packages that it could use.
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
    except Exception as error:  # the errors of the exporter have no common class
        raise ValueError(
            f"{method} of this {type(estimator).__name__} cannot be converted to ONNX. "
            "It may use an operator that ONNX lacks; see the exporter's report above. "
            "The exporters of torch before 2.8 fail for networks that newer ones "
            f"convert; this is torch {torch.__version__}. {error}"
        ) from error
    finally:
        logger.setLevel(level)
    return program.model_proto


def label_nodes(
    classes: np.ndarray, probabilities: str, labels: str
) -> tuple[list[Any], Any]:
    """Build nodes that select the most probable classes.

    Return the nodes and the constant that they need.
    """
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
    """Convert classes to types of ONNX: integers to int64 and strings to objects."""
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    return classes.astype(object) if classes.dtype.kind in "UO" else classes


def _end_in_labels(model: Any, classes: np.ndarray) -> None:
    """Change a model that returns probabilities so that it returns labels."""
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
