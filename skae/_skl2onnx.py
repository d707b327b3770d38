"""Converters of skl2onnx for pipelines that contain estimators of skae."""

import inspect
from typing import Any

import numpy as np

from skae._fitting import RecipeEstimator
from skae._onnx import OPSET, check_converts, exported, label_nodes, label_values
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._pretrained import BasePretrained

_INT64 = 7  # its number in ONNX


def register_onnx_converters() -> None:
    """Register converters so that skl2onnx converts pipelines with estimators of skae.

    Call this function once in each process, before ``skl2onnx.to_onnx``. In the model,
    an autoencoder or an imputer returns the output of its `transform`. A
    :class:`PretrainedClassifier` returns labels and probabilities, as all classifiers
    do in skl2onnx, and a :class:`PretrainedRegressor` returns targets. An
    :class:`AutoencoderOutlierDetector` with the `outlier_score` "error" or "density"
    returns the output of `predict` and of `decision_function`, as columns. All of them
    compute in float32, whatever the type of the input.

    :class:`RecurrentAutoencoder` cannot be converted by skl2onnx, which does not
    support optional inputs that are left out. Use :func:`to_onnx` for it.

    Raises
    ------
    ImportError
        If the package skl2onnx is not installed.

    See Also
    --------
    to_onnx : Convert a single estimator, without skl2onnx.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skae
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(),
    ...     skae.AutoencoderTransformer(2, max_epochs=3, random_state=0),
    ...     LogisticRegression(),
    ... ).fit(X, y)
    >>> import skl2onnx  # doctest: +SKIP
    >>> skae.register_onnx_converters()  # doctest: +SKIP
    >>> onnx_model = skl2onnx.to_onnx(
    ...     model, X[:1].astype("float32"), options={"zipmap": False}
    ... )  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            "skae.register_onnx_converters needs the package skl2onnx. Install it: pip "
            "install skl2onnx, or skae with the extra 'onnx'."
        ) from error
    import skae  # which imports this file

    for name in skae.__all__:
        estimator = getattr(skae, name)
        if not inspect.isclass(estimator):
            continue
        options = None
        if issubclass(estimator, RecipeEstimator):
            shapes, converter = _codes_shape, _convert_transform
        elif issubclass(estimator, BasePretrained) and hasattr(
            estimator, "predict_proba"
        ):
            shapes, converter = _classifier_shapes, _convert_classifier
            # skl2onnx has these options for all classifiers. "zipmap" sets whether
            # probabilities are a list of dicts.
            options = {
                "nocl": [True, False],
                "zipmap": [True, False, "columns"],
                "output_class_labels": [False, True],
            }
        elif issubclass(estimator, BasePretrained):
            shapes, converter = _targets_shape, _convert_predict
        elif issubclass(estimator, AutoencoderOutlierDetector):
            shapes, converter = _outliers_shapes, _convert_outliers
        else:
            continue
        update_registered_converter(
            estimator, f"Skae{name}", shapes, converter, options=options
        )


def _float_rows(operator: Any, width: int) -> Any:
    from skl2onnx.common.data_types import FloatTensorType

    return FloatTensorType([operator.inputs[0].get_first_dimension(), width])


def _codes_shape(operator: Any) -> None:
    width = operator.raw_operator._n_features_out
    operator.outputs[0].type = _float_rows(operator, width)


def _targets_shape(operator: Any) -> None:
    width = operator.raw_operator._n_outputs()
    operator.outputs[0].type = _float_rows(operator, width)


def _outliers_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType

    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = Int64TensorType([n_rows, 1])
    operator.outputs[1].type = _float_rows(operator, 1)


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    classes = _labels(operator)
    labels = Int64TensorType if classes.dtype == np.int64 else StringTensorType
    operator.outputs[0].type = labels([operator.inputs[0].get_first_dimension()])
    operator.outputs[1].type = _float_rows(operator, len(classes))


def _labels(operator: Any) -> np.ndarray:
    """Convert the classes to types of skl2onnx: strings, or int64 for all others."""
    classes = label_values(operator.raw_operator.classes_)
    return classes if classes.dtype.kind == "O" else classes.astype(np.int64)


def _convert_transform(scope: Any, operator: Any, container: Any) -> None:
    output = operator.outputs[0].full_name
    _add(scope, operator, container, "transform", output)


def _convert_predict(scope: Any, operator: Any, container: Any) -> None:
    width = operator.raw_operator._n_outputs()
    _add_columns(scope, operator, container, "predict", operator.outputs[0], width)


def _convert_outliers(scope: Any, operator: Any, container: Any) -> None:
    check_converts(operator.raw_operator)
    labels, decision = operator.outputs
    _add_columns(scope, operator, container, "decision_function", decision, 1)
    names = [scope.get_unique_variable_name(name) for name in ("zero", "out", "in")]
    container.add_initializer(names[0], 1, [], [0.0])  # 1 is float
    container.add_initializer(names[1], _INT64, [], [-1])
    container.add_initializer(names[2], _INT64, [], [1])
    is_outlier = scope.get_unique_variable_name("is_outlier")
    for kind, inputs, output in (
        ("Less", [decision.full_name, names[0]], is_outlier),
        ("Where", [is_outlier, *names[1:]], labels.full_name),
    ):
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, [output], name=name, op_version=9)


def _add_columns(
    scope: Any, operator: Any, container: Any, method: str, result: Any, width: int
) -> None:
    """Add the nodes of a method, with a result of one dimension as a column."""
    output = scope.get_unique_variable_name(method)
    _add(scope, operator, container, method, output)
    shape = scope.get_unique_variable_name("shape")
    container.add_initializer(shape, _INT64, [2], [-1, width])
    container.add_node(
        "Reshape",
        [output, shape],
        [result.full_name],
        name=scope.get_unique_operator_name("Reshape"),
    )


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    labels, probabilities = (output.full_name for output in operator.outputs)
    _add(scope, operator, container, "predict_proba", probabilities)
    nodes, classes = label_nodes(_labels(operator), probabilities, labels)
    _take_in(container, nodes, [classes], {"": container.target_opset_any_domain("")})


def _add(scope: Any, operator: Any, container: Any, method: str, output: str) -> None:
    """Add the nodes of a method; its result is the variable `output`."""
    from onnx import TensorProto, compose, helper, inliner

    opset = container.target_opset_any_domain("")
    if opset < OPSET:
        raise ValueError(
            f"Estimators of skae need target_opset={OPSET} or higher in "
            f"skl2onnx.to_onnx. Got {opset}."
        )
    model = inliner.inline_local_functions(
        exported(operator.raw_operator, method, opset)
    )
    if any("" in node.input for node in model.graph.node):
        # An empty name is an optional input that is left out. skl2onnx would look for
        # an input of that name.
        raise NotImplementedError(
            "skl2onnx cannot convert the layers of "
            f"{type(operator.raw_operator).__name__}. Convert the steps before it with "
            "skl2onnx, and the estimator itself with skae.to_onnx."
        )
    prefix = scope.get_unique_operator_name("skae") + "_"
    known = {each.name for each in (*model.graph.initializer, *model.graph.input)}
    known |= {name for node in model.graph.node for name in node.output}
    graph = compose.add_prefix_graph(model.graph, prefix)
    _prefix_inside(graph.node, known, prefix)
    # The input of the model may be float64 or integers.
    before = helper.make_node(
        "Cast",
        [operator.inputs[0].full_name],
        [graph.input[0].name],
        name=f"{prefix}input",
        to=TensorProto.FLOAT,
    )
    after = helper.make_node(
        "Identity", [graph.output[0].name], [output], name=f"{prefix}output"
    )
    versions = {each.domain: each.version for each in model.opset_import}
    _take_in(container, [before, *graph.node, after], graph.initializer, versions)


def _prefix_inside(nodes: Any, known: set[str], prefix: str) -> None:
    """Add a prefix to names of a graph that branches of its nodes use.

    ``onnx.compose`` adds it only to names of the branches.
    """
    for node in nodes:
        for attribute in node.attribute:
            inside = attribute.g.node
            for each in inside:
                names = [prefix + i if i in known else i for i in each.input]
                del each.input[:]
                each.input.extend(names)
            _prefix_inside(inside, known, prefix)


def _take_in(
    container: Any, nodes: Any, initializers: Any, versions: dict[str, int]
) -> None:
    container.nodes.extend(nodes)
    container.initializers.extend(initializers)
    for node in nodes:
        container.node_domain_version_pair_sets.add(
            (node.domain, versions[node.domain])
        )
