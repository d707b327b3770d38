"""Saving estimators to files, which can be loaded without running code from them.

A file is in the safetensors format. Its tensors are all the arrays. Its metadata has a
JSON text with everything else, and a checksum of both. A value of a type that JSON does
not support is an object with one key, the kind of value; see `_Writer.encode`.
"""

import copy
import hashlib
import inspect
import json
import math
import os
import platform
import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
import sklearn
import skorch
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.metadata_routing import MetadataRequest
from torch import Tensor, nn

from skae import _checks as checks
from skae._columns import CategoryColumn, DateColumn, NumberColumn
from skae._fitting import RecipeEstimator
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._outlier_scores import SCORES, shapes_of
from skae._plan import Plan
from skae._pretrained import BasePretrained
from skae._pretrainer import default_pretrainer
from skae._report import warn
from skae._sampler import N_LEVELS, AutoencoderSampler
from skae._tasks import belongs_to_callbacks
from skae.modules import ImputingNetwork
from skae.modules._head import EncoderWithHead
from skae.modules._standardized import StandardizedModule
from skae.training import (
    PrivateRandomState,
    Table,
    on_one_thread,
    own_modes,
    private_draws,
    recipe,
)

_FORMAT = 1
_MAX_HEADER_BYTES = 2**26
_MAX_FEATURES = 2**26
# These estimators consist of numbers only, so a file can hold them without code.
_OF_SKLEARN = (
    FrozenEstimator,
    MaxAbsScaler,
    MinMaxScaler,
    MissingIndicator,
    PCA,
    Pipeline,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
# What a `TableEncoder` stores about columns.
_COLUMNS = {each.__name__: each for each in (CategoryColumn, DateColumn, NumberColumn)}
# The arguments of a user's module may have numbers up to this one, whatever the size of
# its weights.
_SMALL_NUMBER = 1000
# Limit for arrays of strings: one long string makes all entries of an array as long.
_MAX_TEXT_BYTES = 2**26
# Attributes of a net that are built again with it, or that are written separately.
_REMADE = {
    "callbacks_",
    "cuda_dependent_attributes_",
    "history_",
    "init_context_",
    "initialized_",
    "prefixes_",
    "virtual_params_",
}
# Settings of a net that are never read from a file: `torch_load_kwargs`, for instance,
# may permit unsafe pickles.
_NO_SETTINGS = (
    "_",
    "callbacks",
    "compile",
    "device",
    "module",
    "torch_load_kwargs",
    "train_split",
    "verbose",
)
# Values of parameters in files that were written before these parameters existed.
_BEFORE = {"RecurrentAutoencoder": {"decoder_hidden_size": None}}
# Names in `net_params` that a file may hold, and prefixes of such names.
_NET_PARAMS = {"compile", "predict_nonlinearity", "share_batches", "use_caching"}
_NET_PARAMS_FOR = (
    "criterion__",
    "iterator_train__",
    "iterator_valid__",
    "module__",
    "optimizer__",
    "optimizer_vectors__",
)
_NUMPY_NAMES = {
    *("bool", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


class FileError(ValueError):
    """Error raised for a file that :func:`skae.load` cannot open, with the reason.

    See Also
    --------
    load : Open a file.
    """


class _NotWritable(TypeError):
    """Error raised for a value that cannot be written to a file."""


def save(estimator: BaseEstimator, path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Save an estimator of skae to a file.

    The file holds numbers and strings, but no code. After loading, a fitted estimator
    is the same bit by bit, and `partial_fit` continues with the same results.

    Parameters
    ----------
    estimator : estimator
        Any estimator of skae, fitted or not, or a :class:`~sklearn.pipeline.Pipeline`.
        Its steps may be estimators of skae, :class:`~sklearn.decomposition.PCA`,
        `MissingIndicator`, `MaxAbsScaler`, `MinMaxScaler`, `QuantileTransformer`,
        `RobustScaler` and `StandardScaler`. For a pipeline with other steps, save the
        steps of skae.

    path : str, path-like or binary file object
        The file to write. An existing file is replaced only when the new one is
        complete, so an error never leaves a damaged file. If `path` is a file object,
        such as :class:`io.BytesIO`, nothing is written to it if the estimator cannot be
        saved.

    Raises
    ------
    TypeError
        If the estimator is none of these, if an attribute that was added to it has
        values other than numbers, strings and arrays, or if a file object was opened in
        text mode.

    FileError
        If parameters were changed after `fit`, so that the estimator could not be built
        again from them.

    ImportError
        If the package safetensors is not installed.

    Warns
    -----
    UserWarning
        If a parameter is an object of your own, such as a module, which a file without
        code cannot hold. The warning names the parameter. Pass the object to
        :func:`skae.load`. The parameter `callbacks` is None if it is not passed. The
        same holds for `net_params` with arguments that set what skorch opens or calls,
        such as `torch_load_kwargs`.

    See Also
    --------
    load : Load an estimator from the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> import skae
    >>> X = load_iris().data
    >>> model = skae.AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.skae")
    ...     skae.save(model, path)
    ...     again = skae.load(path)
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    check_place(path, "write")
    package = _safetensors()
    writer = _Writer()
    content = {
        "format": _FORMAT,
        "versions": _versions(),
        "estimator": writer.encode(estimator),
        "objects": writer.objects,
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    metadata = {"skae": text, "sha256": _checksum(text, writer.tensors)}
    data = _with_metadata(package.save(writer.tensors), metadata)
    # The data is loaded once before it is written, to find errors while the estimator
    # still exists: parameters that were changed after `fit`, for instance.
    given = {
        name: value
        for name, value in writer.left_out.items()
        if name.split("__")[-1] != "callbacks"
    }
    _open(data, given, "cpu")
    if writer.left_out:
        arguments = ", ".join(f"{name}=..." for name in writer.left_out)
        warn(
            "The file cannot hold these objects: "
            + ", ".join(f"{name}={value!r}" for name, value in writer.left_out.items())
            + f". Pass them to skae.load(path, {arguments}).",
        )
    write(path, data)


def load(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    device: str | torch.device | None = None,
    **parameters: Any,
) -> Any:
    """Load an estimator from a file that :func:`skae.save` has written.

    No code from the file is run, whoever wrote it.

    Parameters
    ----------
    path : str, path-like or binary file object
        The file. A file object is read from its current position to its end.

    device : str or torch.device, default=None
        Device to compute on. It replaces the parameter `device` in the file.

    **parameters : dict
        Parameters that the file could not hold, as the warning of :func:`skae.save`
        says: ``load(path, module=MyModule)``. The names of parameters of a nested
        estimator have a prefix, such as ``pretrainer__``. These objects are trusted.

    Returns
    -------
    estimator : estimator
        The estimator.

    Raises
    ------
    FileError
        If the file was not written by skae, is damaged, or has the format of a newer
        version; or if a parameter is missing, or is not the one that the estimator was
        fitted with. It is a subclass of ValueError.

    ImportError
        If the package safetensors is not installed.

    Warns
    -----
    UserWarning
        If another version of skae wrote the file.

    See Also
    --------
    save : Save an estimator to a file, with an example.
    """
    check_place(path, "read")
    if isinstance(path, str | os.PathLike):
        data = Path(path).read_bytes()
    else:
        data = _read(path)
    return _open(data, parameters, device)


def check_place(path: Any, method: str) -> None:
    """Raise if `path` is neither a path nor a file object with the method."""
    if not (isinstance(path, str | os.PathLike) or hasattr(path, method)):
        raise TypeError(
            "path must be a str, a path-like, or a binary file object with a method "
            f"{method}, such as io.BytesIO. Got {type(path).__name__}."
        )


def write(path: Any, data: bytes) -> None:
    """Write to a path, at once, or to a file object."""
    if isinstance(path, str | os.PathLike):
        write_at_once(Path(path), data)
        return
    while data:
        try:
            n_written = path.write(data)
        except TypeError as error:
            raise TypeError(
                "The file object does not accept bytes: open it for binary writing, "
                f"with mode 'wb'. {error}"
            ) from error
        # An unbuffered file may write a part only. Others may return None.
        data = b"" if n_written is None else data[n_written:]


def _read(file: Any) -> bytes:
    try:
        data = file.read()
    except UnicodeDecodeError:
        data = ""
    if isinstance(data, str):
        raise TypeError(
            "The file object returns text: open it for binary reading, with mode 'rb'."
        )
    if len(data) == 0:
        raise FileError(
            "There is nothing to read: the file object is empty or at its end. Call "
            "its seek(0) after writing."
        )
    return bytes(data)


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "skae.save and skae.load need the package safetensors, which is not "
            "installed. Install it: pip install safetensors, or skae with the extra "
            "'files'."
        ) from error
    return safetensors.torch


def _versions() -> dict[str, str]:
    import skae  # not at the top: skae imports this file

    packages = (skae, torch, sklearn, skorch, np)
    versions = {package.__name__: str(package.__version__) for package in packages}
    return {**versions, "python": platform.python_version()}


def _known_classes() -> dict[str, type]:
    """Return the classes that a file may hold: public estimators and their steps."""
    import skae  # not at the top: skae imports this file

    public = (getattr(skae, name) for name in skae.__all__)
    return {
        each.__name__: each
        for each in (*public, *_OF_SKLEARN)
        if inspect.isclass(each) and issubclass(each, BaseEstimator)
    }


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        about = f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0"
        digest.update(about.encode())
        if tensor.numel() > 0:  # torch cannot view an empty tensor as bytes
            content: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            digest.update(content)
    return digest.hexdigest()


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """Insert metadata into a safetensors file; the package would not keep its order."""
    size = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata, **json.loads(data[8 : 8 + size])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors must begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def write_at_once(path: Path, data: bytes) -> None:
    """Write a file atomically, so that it is never incomplete."""
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # other systems cannot open folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _open(data: bytes, given: dict[str, Any], device: str | torch.device | None) -> Any:
    # On one thread, so that a process can load an estimator and then fork safely.
    with own_modes(), on_one_thread():
        content, tensors = _parts(data)
        try:
            reader = _Reader(content["objects"], tensors, given, device)
            estimator = reader.estimator(content["estimator"])
        except FileError:
            raise
        except Exception as error:  # wrong values in a file can raise any error
            raise FileError(
                "The estimator cannot be built again from the file and the parameters "
                f"passed: {error}"
            ) from error
    unused = sorted(set(given) - reader.used)
    if unused:
        missing = ", ".join(sorted(reader.left_out)) or "none"
        raise FileError(
            f"The file has a value for {', '.join(unused)}, or no such parameter. Pass "
            f"only parameters that the file could not hold: {missing}. Use set_params "
            "for others."
        )
    return estimator


def _parts(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Parse a file and verify its checksum."""
    package = _safetensors()
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise FileError(
            "The file ends too early, or was not written by skae.save: it has "
            f"{len(data)} bytes, but its header alone should have {size}."
        )
    if size > _MAX_HEADER_BYTES:
        raise FileError(
            f"The header has {size} bytes; at most {_MAX_HEADER_BYTES} are allowed."
        )
    try:
        metadata = json.loads(data[8 : 8 + size])["__metadata__"]
        text, checksum = metadata["skae"], metadata["sha256"]
        tensors = package.load(data)
        intact = checksum == _checksum(text, tensors)
    except Exception as error:  # damaged bytes can raise any error
        raise FileError(
            "The file is damaged, or was not written by skae.save: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not intact:
        raise FileError(
            "The file is damaged: its checksum does not match its content. Get "
            "another copy."
        )
    try:
        content = json.loads(text)
        version, written_by = content["format"], content["versions"]["skae"]
    except Exception as error:
        raise FileError(f"The header is not one of skae: {error}") from error
    if version != _FORMAT:
        raise FileError(
            f"The file has format {version!r}, written by skae {written_by}; this "
            f"version supports format {_FORMAT}. Install the version of skae that "
            "wrote the file, or a newer one."
        )
    if written_by != _versions()["skae"]:
        warn(
            f"The file was written by skae {written_by}, and this is skae "
            f"{_versions()['skae']}: results may differ. Compare them, and save the "
            "estimator again.",
        )
    return content, tensors


class _Writer:
    """Encode values as JSON, and collect arrays and estimators.

    Attributes
    ----------
    tensors : dict of str to tensor
        All arrays.

    objects : list
        Estimators and generators. Several values may refer to the same object.

    left_out : dict of str to object
        Parameters that a file cannot hold.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.objects: list[Any] = []
        self.left_out: dict[str, Any] = {}
        self._seen: dict[int, int] = {}

    def encode(self, value: Any, path: str = "") -> Any:
        """Encode a value as JSON; `path` is the prefix of nested parameters."""
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, BaseEstimator | np.random.RandomState):
            return {"object": self._object(value, path)}
        if isinstance(value, np.generic):
            return {"numpy": [_numpy_name(value.dtype), self.encode(value.item())]}
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            value = float(value)
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, Tensor):
            return {"tensor": self._tensor(value)}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if type(value) is tuple:
            path = _in_step(path, value)
            return {"tuple": [self.encode(each, path) for each in value]}
        if isinstance(value, list):
            return [self.encode(each, path) for each in value]
        if isinstance(value, dict):
            return {
                "dict": [[self.encode(k), self.encode(v)] for k, v in value.items()]
            }
        if type(value) in _COLUMNS.values():
            return {"column": self._column(value)}
        raise _NotWritable(
            "A file holds numbers, strings, arrays and collections of them. Got an "
            f"object of type {type(value).__name__}."
        )

    def _column(self, value: Any) -> list[Any]:
        try:
            return [type(value).__name__, self.encode(vars(value))]
        except _NotWritable as error:
            raise _NotWritable(
                f"The column {value.name!r} has a dtype or levels that are not strings "
                f"or numbers. {error}"
            ) from error

    def _tensor(self, value: Tensor) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = value.detach().cpu().contiguous().clone()
        return name

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.kind in "OU":
            if not all(map(_is_text_or_mark, value.ravel())):
                raise _NotWritable(
                    "A file holds arrays of numbers or of strings. Got an array with "
                    "other objects."
                )
            kind = "object" if value.dtype.kind == "O" else value.dtype.str
            return {"texts": [kind, value.tolist()]}
        _numpy_name(value.dtype)
        return {"array": self._tensor(torch.from_numpy(np.array(value, order="C")))}

    def _object(self, value: Any, path: str) -> int:
        if id(value) not in self._seen:
            self._seen[id(value)] = index = len(self.objects)
            self.objects.append(None)
            if isinstance(value, np.random.RandomState):
                state: Any = value.get_state(legacy=True)
                if state[0] != "MT19937":
                    raise _NotWritable(
                        "A file holds generators that are a RandomState with MT19937. "
                        f"Got {state[0]}."
                    )
                self.objects[index] = {"random_state": self.encode(state)}
            else:
                self.objects[index] = self._estimator(value, path)
        return self._seen[id(value)]

    def _estimator(self, estimator: Any, path: str) -> dict[str, Any]:
        name = type(estimator).__name__
        known: Any = _known_classes().get(name)
        if type(estimator) is not known:
            steps = ", ".join(each.__name__ for each in _OF_SKLEARN)
            raise TypeError(
                f"skae.save supports estimators of skae, and {steps} of scikit-learn. "
                f"Got {name} of the module {type(estimator).__module__}. For a "
                "pipeline with other steps, save those of skae, which are in "
                "`named_steps`. For other estimators, use pickle, and load only files "
                "that you trust."
            )
        params: dict[str, Any] = {}
        for param, value in estimator.get_params(deep=False).items():
            try:
                _check_parameter(param, value)
                params[param] = self.encode(value, _within(path, param))
            except _NotWritable:
                self.left_out[path + param] = value
                params[param] = {"left_out": repr(value)}
        attributes, net = {}, None
        for attribute, value in vars(estimator).items():
            if attribute in params or belongs_to_callbacks(attribute):
                continue
            if attribute == "net_":
                _check_unchanged(estimator, value)
                net = self._net(value)
                continue
            if isinstance(value, MetadataRequest):
                value = _requests(value)
            inner = f"{path}{attribute.removesuffix('_')}__"
            try:
                _check_attribute(estimator, attribute)
                attributes[attribute] = self.encode(value, inner)
            except _NotWritable as error:
                raise TypeError(
                    f"The attribute {attribute!r} of {name} cannot be written. {error}"
                ) from error
        return {"class": name, "params": params, "attributes": attributes, "net": net}

    def _net(self, net: Any) -> dict[str, Any]:
        settings = {}
        # Sorted, because a copy of the net may have them in another order.
        for name, value in sorted(net.get_params(deep=False).items()):
            if not name.startswith(_NO_SETTINGS):
                try:
                    settings[name] = self.encode(value)
                except _NotWritable:
                    continue  # the estimator's parameters determine it
        states = {}
        for name, value in sorted(vars(net).items()):
            if not _is_state(name):
                continue
            if name == "module_":
                value = net.plain_module_
            if isinstance(value, torch.Generator | PrivateRandomState):
                if torch.device(net.device).type != "cpu":
                    continue  # the state of a generator is of use on its device only
                if isinstance(value, torch.Generator):
                    value = value.get_state()
                else:
                    value = value._own
            elif isinstance(value, nn.Module | torch.optim.Optimizer):
                value = value.state_dict()
            try:
                states[name] = self.encode(value)
            except _NotWritable as error:
                raise TypeError(
                    f"The state of {name} of the net cannot be written. {error}"
                ) from error
        arguments = {
            name: self.encode(value)
            for name, value in net.get_params_for("module").items()
            if not isinstance(value, nn.Module)  # the autoencoder of a classifier
        }
        return {
            "arguments": arguments,
            "settings": settings,
            "states": states,
            "history": self.encode(list(net.history)),
        }


def _is_text_or_mark(value: Any) -> bool:
    """Return whether a value is a string, or -1, the mark of a missing label."""
    return isinstance(value, str) or (type(value) is int and value == -1)


class _Reader:
    """Decode the values that `_Writer` encoded.

    Attributes
    ----------
    used : set of str
        Parameters passed by the user that the estimators needed.

    left_out : set of str
        Parameters that the file could not hold.
    """

    def __init__(
        self,
        objects: list[Any],
        tensors: dict[str, Tensor],
        given: dict[str, Any],
        device: str | torch.device | None,
    ) -> None:
        self._objects = objects
        self._tensors = tensors
        self._text_bytes_left = _MAX_TEXT_BYTES
        self._given = given
        self._device = device
        self._made: dict[int, Any] = {}
        self.used: set[str] = set()
        self.left_out: set[str] = set()
        self._kinds: dict[str, Callable[[Any, str], Any]] = {
            "array": lambda name, path: self._tensor(name).numpy(),
            "column": lambda value, path: self._column(*value),
            "device": lambda text, path: torch.device(text),
            "dict": lambda items, path: {
                self.decode(k): self.decode(v) for k, v in items
            },
            "float": lambda text, path: float(text),
            "numpy": lambda value, path: _numpy_type(value[0])(self.decode(value[1])),
            "object": self._object,
            "tensor": lambda name, path: self._tensor(name),
            "texts": lambda value, path: self._texts(*value),
            "tuple": self._tuple,
        }

    def estimator(self, value: Any) -> Any:
        estimator: Any = self.decode(value)
        if not isinstance(estimator, BaseEstimator):
            raise FileError("The file does not hold an estimator.")
        return estimator

    def decode(self, value: Any, path: str = "") -> Any:
        if isinstance(value, list):
            return [self.decode(each, path) for each in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind not in self._kinds:
            raise FileError(f"The file holds a value of an unknown kind, {kind!r}.")
        return self._kinds[kind](content, path)

    def _tuple(self, items: list[Any], path: str) -> tuple[Any, ...]:
        path = _in_step(path, items)
        return tuple(self.decode(each, path) for each in items)

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise FileError(f"The file has no tensor {name!r}, or needs it twice.")
        # Each tensor is used once, so that the memory is bounded by the size of the
        # file.
        return self._tensors.pop(name)

    def _column(self, name: str, fields: Any) -> Any:
        if name not in _COLUMNS:
            raise FileError(f"The file holds a column of an unknown kind, {name!r}.")
        return _COLUMNS[name](**self.decode(fields))

    def _texts(self, kind: str, texts: Any) -> np.ndarray:
        dtype, values = np.dtype(kind), np.array(texts, dtype=object)
        known = dtype.kind in "OU"
        if not (known and all(map(_is_text_or_mark, values.ravel()))):
            raise FileError(f"The file holds strings of an unknown kind, {kind!r}.")
        longest = max((len(str(each)) for each in values.ravel()), default=1)
        self._text_bytes_left -= values.size * max(dtype.itemsize, 4 * longest)
        if dtype.kind == "U" and self._text_bytes_left < 0:
            raise FileError(
                f"Arrays of strings in the file need more than {_MAX_TEXT_BYTES} bytes."
            )
        return values.astype(dtype)

    def _object(self, index: int, path: str) -> Any:
        if index not in self._made:
            content = self._objects[index]
            if "random_state" in content:
                made = np.random.RandomState()
                made.set_state(_mersenne_state(self.decode(content["random_state"])))
                self._made[index] = made
            else:
                self._estimator(index, content, path)
        return self._made[index]

    def _estimator(self, index: int, content: dict[str, Any], path: str) -> None:
        name = content["class"]
        known = _known_classes()
        if name not in known:
            raise FileError(
                f"The file holds an estimator of an unknown class, {name!r}. Known "
                f"classes: {', '.join(sorted(known))}."
            )
        params = {
            param: self._parameter(value, path + param, _within(path, param))
            for param, value in content["params"].items()
        }
        params = {**_BEFORE.get(name, {}), **params}
        if self._device is not None and "device" in params:
            params["device"] = self._device
        estimator = known[name](**params)
        self._made[index] = estimator
        attributes: dict[str, Any] = {}
        for attribute, value in content["attributes"].items():
            _check_attribute(estimator, attribute)
            value = self.decode(value, f"{path}{attribute.removesuffix('_')}__")
            if attribute == "_metadata_request":
                value = _metadata_request(estimator, value)
            attributes[attribute] = value
        vars(estimator).update(attributes)
        _check_columns(estimator)
        if isinstance(estimator, AutoencoderSampler) and "means_" in attributes:
            _check_mixture(estimator)
        if (
            isinstance(estimator, AutoencoderOutlierDetector)
            and "offset_" in attributes
        ):
            _check_detector(estimator)
        if content["net"] is not None:
            net = self._net(estimator, content["net"])
            # Building the net may change attributes: it draws a seed, for instance.
            vars(estimator).update(attributes)
            estimator.net_ = net

    def _parameter(self, value: Any, path: str, inner: str) -> Any:
        name = path.split("__")[-1]
        if isinstance(value, dict) and "left_out" in value:
            why = f"The file could not hold {path}={value['left_out']}."
        else:
            value = self.decode(value, inner)
            try:
                _check_parameter(name, value)
            except _NotWritable as error:
                why = f"The file has {path}={value!r}. {error}"
            else:
                return value
        self.left_out.add(path)
        if path in self._given:
            self.used.add(path)
            return self._given[path]
        if name == "callbacks":
            return None
        raise FileError(f"{why} Pass it: skae.load(path, {path}=...).")

    def _net(self, estimator: Any, content: dict[str, Any]) -> Any:
        arguments = {
            name: self.decode(value) for name, value in content["arguments"].items()
        }
        states = {name: self.decode(value) for name, value in content["states"].items()}
        build = (
            _supervised_net
            if isinstance(estimator, BasePretrained)
            else _autoencoder_net
        )
        net = build(estimator, arguments, states["module_"])
        for name, value in content["settings"].items():
            if name in net.get_params(deep=False) and not name.startswith(_NO_SETTINGS):
                setattr(net, name, self.decode(value))
        on_cpu = torch.device(net.device).type == "cpu"
        for name, state in states.items():
            if not (_is_state(name) and name in vars(net)):
                raise FileError(
                    f"The file has a state of {name!r}, which the net does not have."
                )
            target = net.plain_module_ if name == "module_" else getattr(net, name)
            if isinstance(target, torch.Generator):
                if on_cpu:
                    target.set_state(state)
            elif isinstance(target, PrivateRandomState):
                if on_cpu:
                    target._own = _global_states(state)
            elif name == "noise_" and target is not None:
                _set_buffers(target, state)
            elif isinstance(target, nn.Module | torch.optim.Optimizer):
                target.load_state_dict(state)
            else:
                setattr(net, name, state)
        net.history_[:] = self.decode(content["history"])
        net.module_.eval()
        return net


# Names of nested parameters


def _within(path: str, param: str) -> str:
    """Return the prefix of the parameters of an estimator that is a parameter."""
    # The steps of a pipeline have no prefix: `name__param`, not `steps__name__param`.
    return path if param == "steps" else f"{path}{param}__"


def _in_step(path: str, items: Any) -> str:
    """Return the prefix of the parameters of a step, if `items` are a step."""
    is_step = len(items) == 2 and isinstance(items[0], str)
    return f"{path}{items[0]}__" if is_step else path


# Building the net again, after a check that the file has all of its weights


def _autoencoder_net(
    estimator: RecipeEstimator, arguments: dict[str, Any], state: dict[str, Tensor]
) -> Any:
    n_features = estimator._n_inputs
    factory = _module_of(estimator, n_features)
    _check_sizes(factory, arguments, state, n_features)
    plan = replace(_plan_of(estimator, n_features), arguments=arguments)
    net = estimator._build(plan, seed=0)  # the seed is set later
    estimator._set_evaluation_rows(net, n_features)
    return net


def _supervised_net(
    estimator: Any, arguments: dict[str, Any], state: dict[str, Tensor]
) -> Any:
    n_features = estimator.n_features_in_
    device = checks.check_device(estimator.device)
    if estimator.pretrainer_ is not None:
        autoencoder = copy.deepcopy(estimator.pretrainer_.net_.plain_module_)
    else:
        pretrainer = estimator.pretrainer
        if pretrainer is None:
            pretrainer = default_pretrainer(n_features, 0, device, 0)
        elif isinstance(pretrainer, FrozenEstimator):
            pretrainer = pretrainer.estimator
        factory = _module_of(pretrainer, n_features)
        of_autoencoder = {
            name.removeprefix("autoencoder."): weight
            for name, weight in state.items()
            if name.startswith("autoencoder.")
        }
        autoencoder_arguments = estimator._autoencoder_arguments
        _check_sizes(factory, autoencoder_arguments, of_autoencoder, n_features)
        with private_draws(0, pretrainer._has_user_module):
            autoencoder = factory(**autoencoder_arguments).float()
    autoencoder = autoencoder.to(device).eval()
    _check_sizes(EncoderWithHead, arguments, state, n_features, autoencoder=autoencoder)
    if arguments["n_outputs"] != estimator._n_outputs():
        raise FileError("The number of outputs in the file is not that of its module.")
    estimator._check_parameters()
    plan = estimator._plan_of(
        {"autoencoder": autoencoder, **arguments}, n_features, n_train=1
    )
    net = estimator._build(plan, seed=0)
    net.plain_module_.freeze(estimator.freeze)
    net.plain_module_.eval()
    return net


def _plan_of(estimator: RecipeEstimator, n_features: int) -> Plan:
    """Return the plan of an estimator, fitted or not, for rows of zeros."""
    rows = np.broadcast_to(np.float32(0), (2, n_features))  # takes no memory
    if not hasattr(estimator, "n_features_in_"):  # a pretrainer that was never fitted
        estimator = clone(estimator)
        estimator._begin_fit(rows)
        estimator.n_features_in_ = n_features
    return estimator._plan(Table(rows))


def _module_of(estimator: RecipeEstimator, n_features: int) -> Any:
    return _plan_of(estimator, n_features).module


def _check_sizes(
    factory: Any,
    arguments: dict[str, Any],
    state: dict[str, Tensor],
    n_features: int,
    **modules: nn.Module,
) -> None:
    """Raise if the sizes of a module do not match its weights in the file.

    The check needs little memory and time, however large the sizes are.

    Parameters
    ----------
    factory : class, callable or module
        Class or function that builds the module.

    arguments : dict of str
        Arguments of `factory` in the file.

    state : dict of str to tensor
        Weights and buffers in the file.

    n_features : int
        Number of columns.

    **modules : dict of str to module
        Further arguments of `factory`, which are modules.
    """
    if isinstance(factory, nn.Module):
        if not arguments:
            return
        factory = type(factory)  # skorch calls the class again
    ours = inspect.isclass(factory) and factory.__module__.startswith("skae.")
    found = _shapes(state)
    n_values = sum(map(math.prod, found.values()))
    if ours:
        for name, value in arguments.items():
            _check_numbers(name, value, n_values, len(found))
    else:
        # A number need not be a size.
        most = max(n_values, _SMALL_NUMBER)
        for name in arguments.keys() - {"n_features"}:
            _check_numbers(name, arguments[name], most, most)
        _check_equal("columns", arguments.get("n_features", n_features), n_features)
    try:
        with PrivateRandomState(0, torch.device("cpu")), torch.device("meta"):
            module: Any = factory(**modules, **arguments)
        expected = _shapes(module.state_dict())
    except Exception:
        if ours:
            raise
        return  # the user's module may need values, which meta tensors do not have
    fills = StandardizedModule | ImputingNetwork
    if isinstance(getattr(module, "autoencoder", module), fills):
        # The layer that fills missing values has buffers only after its fit.
        for shapes in (expected, found):
            for name in [name for name in shapes if "fill" in name.split(".")]:
                _check_equal("columns", shapes.pop(name)[0], n_features)
    if expected != found:
        names = {name for name, _ in expected.items() ^ found.items()}
        raise FileError(
            "The estimator cannot be built again: the weights in the file are not "
            f"those of {type(module).__name__}, for instance "
            f"{', '.join(sorted(names)[:3])}."
        )
    if isinstance(module, fills):
        _check_equal("columns", len(module.mean), n_features)


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(each.shape)
        for name, each in state.items()
        if isinstance(each, Tensor)
    }


def _check_numbers(name: str, value: Any, largest: int, longest: int) -> None:
    """Raise if an argument of a module has a too large number or too many entries."""
    numbers = value if isinstance(value, list | tuple) else [value]
    if len(numbers) > longest:
        raise FileError(f"The file has too many entries in {name}: {len(numbers)}.")
    for number in numbers:
        if isinstance(number, list | tuple):
            _check_numbers(name, number, largest, longest)
    if name == "n_layers":
        largest = longest
    sizes = [int(each) for each in numbers if isinstance(each, Integral)]
    if max(sizes, default=0) > largest:
        raise FileError(
            f"The file has {name}={value!r}, which is more than it has weights for."
        )


def _check_equal(what: str, stored: Any, expected: Any) -> None:
    if stored != expected:
        raise FileError(f"The file has {stored!r} {what}. Expected {expected!r}.")


def _set_buffers(noise: nn.Module, state: dict[str, Any]) -> None:
    """Set the state of a noise module, whose buffers have no shape before its fit."""
    for name, value in state.items():
        owner_name, _, buffer = name.rpartition(".")
        owner = noise.get_submodule(owner_name)
        if buffer in owner._buffers:
            setattr(owner, buffer, value.to(owner._buffers[buffer]))


# Checks of values that later code trusts


def _check_parameter(name: str, value: Any) -> None:
    """Raise if a parameter could make skorch or joblib run code."""
    if name == "net_params" and value is not None:
        refused = [
            each
            for each in value
            if each not in _NET_PARAMS and not each.startswith(_NET_PARAMS_FOR)
        ]
        if refused:
            raise _NotWritable(f"{', '.join(refused)} has to be passed by you.")
    if name == "memory" and value is not None:  # joblib loads pickles from there
        raise _NotWritable("The folder of a cache has to be passed by you.")
    if name == "teachers" and isinstance(value, list):
        raise _NotWritable("Estimators of other kinds have to be passed by you.")


def _check_unchanged(estimator: Any, net: Any) -> None:
    """Raise if the parameters would build another net than the fitted one."""
    if not isinstance(estimator, RecipeEstimator):
        return
    try:
        plan = _plan_of(estimator, estimator._n_inputs)
    except ValueError as error:
        raise FileError(
            f"The estimator cannot be built again: {error} Set the parameters as they "
            "were, or fit again."
        ) from error
    optimizer = recipe.OPTIMIZERS.get(plan.optimizer, plan.optimizer)
    params = estimator.get_params(deep=False)
    for name, found, value in (
        ("loss", net.criterion, plan.criterion),
        ("optimizer", net.optimizer, optimizer),
    ):
        if name in params and value is not found:
            raise FileError(
                f"The estimator cannot be built again: {name}="
                f"{getattr(estimator, name)!r} is not what it was fitted with. Set "
                f"{name} as it was, or fit again."
            )


def _check_columns(estimator: Any) -> None:
    """Raise if the number of columns is invalid or differs from that of the names."""
    n_features = getattr(estimator, "n_features_in_", 1)
    good = isinstance(n_features, int) and 0 < n_features <= _MAX_FEATURES
    if not good:
        raise FileError(f"The file has an invalid number of columns, {n_features!r}.")
    if "feature_names_in_" in vars(estimator):
        _check_equal("columns", n_features, len(estimator.feature_names_in_))


def _is_state(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__") and name not in _REMADE


def _check_attribute(estimator: Any, name: str) -> None:
    if not name.isidentifier() or name.startswith("__"):
        raise _NotWritable(f"{name!r} is not a valid name of an attribute.")
    if name == "net_" or name in estimator.get_params(deep=False):
        raise _NotWritable(f"{name!r} is not stored as an attribute.")
    if belongs_to_callbacks(name):
        raise _NotWritable(f"{name!r} belongs to callbacks.")
    if name != "_metadata_request" and hasattr(type(estimator), name):
        raise _NotWritable(
            f"{name!r} of {type(estimator).__name__} belongs to the class."
        )


def _check_mixture(sampler: Any) -> None:
    """Raise if the arrays of a sampler have inconsistent shapes."""
    n_mixture, n_codes = sampler.means_.shape
    n_columns, n_patterns = sampler._rows.n_columns, len(sampler._gaps)
    n_numbers = len(np.arange(n_columns)[sampler._rows.numbers])
    for name, shape in {
        "weights_": (n_mixture,),
        "covariances_": (n_mixture, n_codes, n_codes),
        "residual_std_": (n_numbers,),
        "_discrete": (n_numbers,),
        "_generated": (n_numbers, N_LEVELS),
        "_given": (n_numbers, N_LEVELS),
        "_factors": (n_columns,),
        "_gaps": (n_patterns, n_columns),
        "_gap_weights": (n_mixture, n_patterns),
    }.items():
        _check_equal(f"as the shape of {name}", getattr(sampler, name).shape, shape)
    _check_equal("columns", math.prod(sampler._shape), sampler.n_features_in_)


def _check_detector(detector: Any) -> None:
    """Raise if the arrays of an outlier detector have inconsistent shapes."""
    state, model = detector._state, detector._model
    if detector._score not in SCORES:
        raise FileError(f"The file has an unknown score, {detector._score!r}.")
    for name, shape in shapes_of(detector._score, model, state).items():
        _check_equal(f"as the shape of {name}", state[name].shape, shape)
    _check_equal(
        "calibration_weights_",
        detector.calibration_weights_.shape,
        detector.calibration_scores_.shape,
    )
    _check_equal(
        "as the shape of the column errors",
        detector._column_errors.shape,
        (model.n_features_in_,),
    )


def _numpy_name(dtype: np.dtype) -> str:
    if dtype.name not in _NUMPY_NAMES:
        raise _NotWritable(
            f"A file holds numbers of {', '.join(sorted(_NUMPY_NAMES))}. Got "
            f"{dtype.name}."
        )
    return dtype.name


def _numpy_type(name: str) -> Any:
    return np.dtype(_numpy_name(np.dtype(str(name)))).type


def _mersenne_state(state: Any) -> Any:
    # NumPy does not check the position, and would read past the end.
    if state[0] != "MT19937" or not 0 <= state[2] <= 624:
        raise FileError("The file holds a generator in an impossible state.")
    return state


def _global_states(states: list[Any]) -> list[Any]:
    """Check states that the global generators will be set to."""
    if states:
        of_torch, of_numpy, of_python = states
        torch.Generator().set_state(of_torch)
        np.random.RandomState().set_state(_mersenne_state(of_numpy))
        random.Random().setstate(of_python)
    return states


def _requests(requests: MetadataRequest) -> dict[str, dict[str, Any]]:
    return {
        method: dict(part.requests)
        for method, part in vars(requests).items()
        if hasattr(part, "requests") and part.requests
    }


def _metadata_request(estimator: Any, requests: dict[str, Any]) -> MetadataRequest:
    made = MetadataRequest(owner=estimator)
    for method, parts in requests.items():
        for param, alias in parts.items():
            getattr(made, method).add_request(param=param, alias=alias)
    return made
