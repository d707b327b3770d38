"""Files of estimators: they last, and opening one runs no code from it.

A file is a safetensors file. Its tensors are all arrays; its metadata has a JSON text
with everything else, and a checksum of both. Values that JSON does not know are objects
with one key, the kind of value, as `_Writer.encode` writes them.
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
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
import sklearn
import skorch
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import MetadataRequest
from skorch.history import History
from torch import Tensor, nn

from skae import _checks as checks
from skae._fitting import FittedByTraining
from skae._pretrained import BasePretrained, default_pretrainer
from skae._report import warn
from skae._tasks import belongs_to_callbacks
from skae.training import (
    PrivateRandomState,
    on_one_thread,
    own_modes,
    private_draws,
)

_FORMAT = 1
_MAX_HEADER_BYTES = 2**26
# The net is built again for two rows of zeros, which have to be in memory.
_MAX_FEATURES = 2**26
# Attributes of a net that are made anew with it, or written in a way of their own.
_REMADE = {
    "callbacks_",
    "cuda_dependent_attributes_",
    "history_",
    "init_context_",
    "initialized_",
    "prefixes_",
    "virtual_params_",
}
# Settings of a net that a file has no say in: `torch_load_kwargs` may let pickles run.
_NO_SETTINGS = (
    "callbacks",
    "compile",
    "device",
    "module",
    "torch_load_kwargs",
    "train_split",
    "verbose",
)
_NUMPY_NAMES = {
    *("bool", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


class FileError(ValueError):
    """A file that :func:`skae.load` does not open, with the reason.

    See Also
    --------
    load : Raises it.
    """


class _NotWritable(TypeError):
    """A value has a type that a file does not hold."""


def save(estimator: BaseEstimator, path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write an estimator of skae to a file that :func:`skae.load` opens.

    The file holds numbers and texts, no code. A fitted estimator is the same after
    loading bit by bit, and so is what `partial_fit` then makes of it.

    Parameters
    ----------
    estimator : estimator
        Any estimator of skae, fitted or not. Of a pipeline, save the steps.

    path : str, path-like or binary file object
        The file. It is written beside it first, then moved there: whatever happens on
        the way, a file that was there is whole, the old one or the new one. Nothing is
        written to a file object, such as :class:`io.BytesIO`, before it is known that
        the estimator can be saved.

    Raises
    ------
    TypeError
        If the estimator is not one of skae, or an attribute that was added to it is
        not made of numbers, texts and arrays; if a file object was opened for text.

    ImportError
        If the package safetensors is not installed.

    Warns
    -----
    UserWarning
        If a parameter is an object of your own, which no file without code can hold.
        The warning says which. It has to be given to :func:`skae.load`; `callbacks`
        are None if they are not.

    See Also
    --------
    load : Open the file.

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
    _check_place(path, "write")
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
    # What a file cannot tell shows now, and not when the estimator is gone: parameters
    # that were changed after `fit`, for instance.
    given = {
        name: value
        for name, value in writer.left_out.items()
        if name.split("__")[-1] != "callbacks"
    }
    _open(data, given, "cpu")
    if writer.left_out:
        arguments = ", ".join(f"{name}=..." for name in writer.left_out)
        warn(
            "The file holds no objects of your own: "
            + ", ".join(f"{name}={value!r}" for name, value in writer.left_out.items())
            + f". Pass them to skae.load(path, {arguments}).",
        )
    if isinstance(path, str | os.PathLike):
        write_at_once(Path(path), data)
    else:
        _write(path, data)


def load(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    device: str | torch.device | None = None,
    **parameters: Any,
) -> Any:
    """Open a file that :func:`skae.save` has written.

    Nothing in the file is run, whoever wrote it.

    Parameters
    ----------
    path : str, path-like or binary file object
        The file. A file object is read from where it stands to its end.

    device : str or torch.device, default=None
        Where to compute, in place of the parameter `device` in the file.

    **parameters : dict
        Parameters that the file could not hold, as :func:`skae.save` has said: ``load(
        path, module=MyModule)``. For those of an estimator within, ``pretrainer__``
        comes first. They are trusted, as any code of yours.

    Returns
    -------
    estimator : estimator
        The estimator.

    Raises
    ------
    FileError
        If the file is not one of skae, is damaged, or was written by a newer version
        whose files this one does not know; if a parameter is missing, or is not the
        one that the estimator was fitted with. It is a ValueError.

    ImportError
        If the package safetensors is not installed.

    Warns
    -----
    UserWarning
        If another version of skae has written the file.

    See Also
    --------
    save : Write the file, with an example.
    """
    _check_place(path, "read")
    if isinstance(path, str | os.PathLike):
        data = Path(path).read_bytes()
    else:
        data = _read(path)
    return _open(data, parameters, device)


def _check_place(path: Any, method: str) -> None:
    """Refuse what is neither a path nor a file object with a method."""
    if not (isinstance(path, str | os.PathLike) or hasattr(path, method)):
        raise TypeError(
            "path must be a str, a path-like, or a binary file object with a method "
            f"{method}, such as io.BytesIO. Got {type(path).__name__}."
        )


def _write(file: Any, data: bytes) -> None:
    while data:
        try:
            n_written = file.write(data)
        except TypeError as error:
            raise TypeError(
                "The file object takes no bytes: open it for binary writing, with mode "
                f"'wb'. {error}"
            ) from error
        # A file without a buffer may take a part; what gives no number takes all.
        data = b"" if n_written is None else data[n_written:]


def _read(file: Any) -> bytes:
    try:
        data = file.read()
    except UnicodeDecodeError:
        data = ""
    if isinstance(data, str):
        raise TypeError(
            "The file object gives text: open it for binary reading, with mode 'rb'."
        )
    if len(data) == 0:
        raise FileError(
            "There is nothing to read: the file object is empty, or stands at its end. "
            "Call its seek(0) after writing."
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
    import skae  # which imports this file

    packages = (skae, torch, sklearn, skorch, np)
    versions = {package.__name__: str(package.__version__) for package in packages}
    return {**versions, "python": platform.python_version()}


def _known_classes() -> dict[str, type]:
    """Classes of which a file may hold instances: the public estimators."""
    import skae  # which imports this file

    public = (getattr(skae, name) for name in skae.__all__)
    return {
        each.__name__: each
        for each in (*public, FrozenEstimator)
        if inspect.isclass(each) and issubclass(each, BaseEstimator)
    }


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        about = f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0"
        digest.update(about.encode())
        if tensor.numel() > 0:  # of no values, torch makes no bytes
            content: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            digest.update(content)
    return digest.hexdigest()


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """Put metadata into a safetensors file: the package does in no order of its own."""
    size = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata, **json.loads(data[8 : 8 + size])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def write_at_once(path: Path, data: bytes) -> None:
    """Write a file so that at any moment there is the old one or the new one."""
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
    if os.name == "posix":  # elsewhere, folders cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _open(data: bytes, given: dict[str, Any], device: str | torch.device | None) -> Any:
    content, tensors = _parts(data)
    try:
        reader = _Reader(content["objects"], tensors, given, device)
        # A process that loads and then forks has started no threads.
        with own_modes(), on_one_thread():
            estimator = reader.estimator(content["estimator"])
    except FileError:
        raise
    except Exception as error:  # whatever a file may tell that is not so
        raise FileError(
            "The estimator cannot be built again from the file and the parameters "
            f"given: {error}"
        ) from error
    unused = sorted(set(given) - reader.used)
    if unused:
        missing = ", ".join(sorted(reader.left_out)) or "none"
        raise FileError(
            f"The file has a value for {', '.join(unused)}, or no such parameter. Only "
            f"those that the file could not hold can be given: {missing}. Use "
            "set_params for others."
        )
    return estimator


def _parts(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Take a file apart, and check that it is as it was written."""
    package = _safetensors()
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise FileError(
            f"The file ends too early, or is none of skae: it has {len(data)} bytes, "
            f"and its header alone should have {size}."
        )
    if size > _MAX_HEADER_BYTES:
        raise FileError(
            f"The header has {size} bytes; at most {_MAX_HEADER_BYTES} are read."
        )
    try:
        metadata = json.loads(data[8 : 8 + size])["__metadata__"]
        text, checksum = metadata["skae"], metadata["sha256"]
        tensors = package.load(data)
        intact = checksum == _checksum(text, tensors)
    except Exception as error:  # bytes can be wrong in any way
        raise FileError(
            "The file is damaged, or was not written by skae.save: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not intact:
        raise FileError(
            "The file is damaged: its checksum is not that of its content. Get another "
            "copy."
        )
    try:
        content = json.loads(text)
        version, written_by = content["format"], content["versions"]["skae"]
    except Exception as error:
        raise FileError(f"The header is not one of skae: {error}") from error
    if version != _FORMAT:
        raise FileError(
            f"The file has format {version!r}, written by skae {written_by}; this "
            f"version knows format {_FORMAT}. Install the version of skae that wrote "
            "the file, or a newer one."
        )
    if written_by != _versions()["skae"]:
        warn(
            f"The file was written by skae {written_by}, and this is skae "
            f"{_versions()['skae']}: results may differ. Compare them, and save the "
            "estimator again.",
        )
    return content, tensors


class _Writer:
    """Turns values into what JSON knows, and collects arrays and estimators.

    Attributes
    ----------
    tensors : dict of str to tensor
        All arrays.

    objects : list
        Estimators and generators, of which several values may be one.

    left_out : dict of str to object
        Parameters that a file cannot hold.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.objects: list[Any] = []
        self.left_out: dict[str, Any] = {}
        self._seen: dict[int, int] = {}

    def encode(self, value: Any, path: str = "") -> Any:
        """Turn a value into what JSON knows; `path` leads to parameters within."""
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
            return {"tuple": [self.encode(each) for each in value]}
        if isinstance(value, list):
            return [self.encode(each) for each in value]
        if isinstance(value, dict):
            return {
                "dict": [[self.encode(k), self.encode(v)] for k, v in value.items()]
            }
        raise _NotWritable(
            f"A file holds numbers, texts, arrays and collections of them. Got a "
            f"{type(value).__name__}."
        )

    def _tensor(self, value: Tensor) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = value.detach().cpu().contiguous().clone()
        return name

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.kind in "OU":
            if not all(isinstance(each, str) for each in value.ravel()):
                raise _NotWritable(
                    "A file holds arrays of numbers or of texts. Got an array with "
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
                        "Of generators, a file holds RandomState with MT19937. Got "
                        f"{state[0]}."
                    )
                self.objects[index] = {"random_state": self.encode(state)}
            else:
                self.objects[index] = self._estimator(value, path)
        return self._seen[id(value)]

    def _estimator(self, estimator: Any, path: str) -> dict[str, Any]:
        name = type(estimator).__name__
        known: Any = _known_classes().get(name)
        if type(estimator) is not known:
            raise TypeError(
                f"skae.save writes estimators of skae. Got {name}, of the module "
                f"{type(estimator).__module__}. Pickle is for others, if whoever opens "
                "the file trusts it; of a pipeline, save the steps."
            )
        params: dict[str, Any] = {}
        for param, value in estimator.get_params(deep=False).items():
            try:
                params[param] = self.encode(value, f"{path}{param}__")
            except _NotWritable:
                self.left_out[path + param] = value
                params[param] = {"left_out": repr(value)}
        attributes, net = {}, None
        for attribute, value in vars(estimator).items():
            if attribute in params or belongs_to_callbacks(attribute):
                continue
            if attribute == "net_":
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
        # Sorted, for a copy of the net may have them in another order.
        for name, value in sorted(net.get_params(deep=False).items()):
            if not name.startswith(("_", *_NO_SETTINGS)):
                try:
                    settings[name] = self.encode(value)
                except _NotWritable:
                    continue  # the estimator's parameters tell it
        states = {}
        for name, value in sorted(vars(net).items()):
            if not _is_state(name):
                continue
            if name == "module_":
                value = net.plain_module_
            if isinstance(value, torch.Generator | PrivateRandomState):
                if torch.device(net.device).type != "cpu":
                    continue  # a stream goes on where it began alone
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
            if not isinstance(value, nn.Module)  # the classifier's autoencoder
        }
        return {
            "arguments": arguments,
            "settings": settings,
            "states": states,
            "history": self.encode(list(net.history)),
        }


class _Reader:
    """Turns what JSON knows into the values that `_Writer` has been given.

    Attributes
    ----------
    used, left_out : set of str
        Of the parameters given, those that were asked for; and those that the file
        could not hold.
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
        self._given = given
        self._device = device
        self._made: dict[int, Any] = {}
        self.used: set[str] = set()
        self.left_out: set[str] = set()
        self._kinds: dict[str, Callable[[Any, str], Any]] = {
            "array": lambda name, path: tensors[name].numpy(),
            "device": lambda text, path: torch.device(text),
            "dict": lambda items, path: {
                self.decode(k): self.decode(v) for k, v in items
            },
            "float": lambda text, path: float(text),
            "numpy": lambda value, path: _numpy_type(value[0])(self.decode(value[1])),
            "object": self._object,
            "tensor": lambda name, path: tensors[name],
            "texts": lambda value, path: _texts(*value),
            "tuple": lambda items, path: tuple(self.decode(each) for each in items),
        }

    def estimator(self, value: Any) -> Any:
        estimator: Any = self.decode(value)
        if not isinstance(estimator, BaseEstimator):
            raise FileError("The file does not hold an estimator.")
        return estimator

    def decode(self, value: Any, path: str = "") -> Any:
        if isinstance(value, list):
            return [self.decode(each) for each in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind not in self._kinds:
            raise FileError(f"The file holds a value of an unknown kind, {kind!r}.")
        return self._kinds[kind](content, path)

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
                f"The file holds an estimator of an unknown class, {name!r}. Known are "
                f"{', '.join(sorted(known))}."
            )
        params = {
            param: self._parameter(value, f"{path}{param}")
            for param, value in content["params"].items()
        }
        if self._device is not None and "device" in params:
            params["device"] = self._device
        estimator = known[name](**params)
        self._made[index] = estimator
        attributes = {}
        for attribute, value in content["attributes"].items():
            _check_attribute(estimator, attribute)
            value = self.decode(value, f"{path}{attribute.removesuffix('_')}__")
            if attribute == "_metadata_request":
                value = _metadata_request(estimator, value)
            attributes[attribute] = value
        vars(estimator).update(attributes)
        if content["net"] is not None:
            net = self._net(estimator, content["net"])
            # As they were: building the net draws a seed, for instance.
            vars(estimator).update(attributes)
            estimator.net_ = net

    def _parameter(self, value: Any, path: str) -> Any:
        if not (isinstance(value, dict) and "left_out" in value):
            return self.decode(value, f"{path}__")
        self.left_out.add(path)
        if path in self._given:
            self.used.add(path)
            return self._given[path]
        if path.split("__")[-1] == "callbacks":
            return None
        raise FileError(
            f"The file could not hold {path}={value['left_out']}. Pass it: "
            f"skae.load(path, {path}=...)."
        )

    def _net(self, estimator: Any, content: dict[str, Any]) -> Any:
        arguments = {
            name: self.decode(value) for name, value in content["arguments"].items()
        }
        states = {name: self.decode(value) for name, value in content["states"].items()}
        n_features = estimator.n_features_in_
        if not (isinstance(n_features, int) and 0 < n_features <= _MAX_FEATURES):
            raise FileError(f"The file tells of {n_features!r} columns.")
        rows = np.zeros((2, n_features), dtype=np.float32)
        if isinstance(estimator, BasePretrained):
            net = _supervised_net(estimator, rows, arguments)
        else:
            net = _autoencoder_net(estimator, rows, arguments, states["module_"])
        for name, value in content["settings"].items():
            if name in net.get_params(deep=False) and not name.startswith(_NO_SETTINGS):
                setattr(net, name, self.decode(value))
        on_cpu = torch.device(net.device).type == "cpu"
        for name, state in states.items():
            if not (_is_state(name) and name in vars(net)):
                raise FileError(f"The file tells of {name!r}, which the net has not.")
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
        net.history_ = History(self.decode(content["history"]))
        net.module_.eval()
        return net


# Building the net again


def _autoencoder_net(
    estimator: FittedByTraining,
    rows: np.ndarray,
    arguments: dict[str, Any],
    state: dict[str, Any],
) -> Any:
    factory, _ = estimator._module_factory(rows)
    _check_sizes(factory, arguments, state)
    # The seed drawn here is set later; the estimator's own generator goes on as it was.
    estimator._rng = np.random.RandomState(0)
    return estimator._make_net(rows, module=(factory, arguments))


def _supervised_net(estimator: Any, rows: np.ndarray, arguments: dict[str, Any]) -> Any:
    device = checks.check_device(estimator.device)
    if estimator.pretrainer_ is not None:
        autoencoder = copy.deepcopy(estimator.pretrainer_.net_.plain_module_)
    else:
        pretrainer = estimator.pretrainer
        if pretrainer is None:
            pretrainer = default_pretrainer(rows.shape[1], 0, device, 0)
        elif isinstance(pretrainer, FrozenEstimator):
            pretrainer = pretrainer.estimator
        factory, _ = pretrainer._module_factory(rows)
        with private_draws(0, pretrainer._own_module()):
            autoencoder = factory(**estimator._autoencoder_arguments).float()
    twin = copy.copy(estimator)
    twin.head_input = arguments["head_input"]
    twin.dropout = arguments["dropout"]
    return twin._make_net(
        autoencoder.to(device).eval(),
        rows,
        None,
        1,
        arguments["hidden_layer_sizes"],
        device,
        0,
        twin._checked_net_params(),
    )


def _check_sizes(factory: Any, arguments: dict[str, Any], state: dict) -> None:
    """Refuse sizes that the file has no weights for, before memory is taken."""
    if not (inspect.isclass(factory) and factory.__module__.startswith("skae.")):
        return
    with torch.device("meta"):
        module: Any = factory(**arguments)
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if expected != {name: tensor.shape for name, tensor in state.items()}:
        raise FileError("The weights in the file are not those of its module.")


def _set_buffers(noise: nn.Module, state: dict[str, Any]) -> None:
    """Set the state of noise, whose buffers get their shapes when it is fitted."""
    for name, value in state.items():
        owner_name, _, buffer = name.rpartition(".")
        owner = noise.get_submodule(owner_name)
        if buffer in owner._buffers:
            setattr(owner, buffer, value.to(owner._buffers[buffer]))


# Values that are checked, for those who use them trust them


def _is_state(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__") and name not in _REMADE


def _check_attribute(estimator: Any, name: str) -> None:
    if not name.isidentifier() or name.startswith("__"):
        raise _NotWritable(f"{name!r} is no name of an attribute.")
    if name != "_metadata_request" and hasattr(type(estimator), name):
        raise _NotWritable(
            f"{name!r} of {type(estimator).__name__} belongs to the class."
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


def _texts(kind: str, texts: list[Any]) -> np.ndarray:
    dtype = np.dtype(kind)
    longest = max(map(len, np.array(texts, dtype=object).ravel()), default=1)
    if dtype.kind == "U" and dtype.itemsize > 4 * max(1, longest) * 1024:
        raise FileError(f"The file holds texts of an unlikely length, {kind}.")
    if dtype.kind not in "OU":
        raise FileError(f"The file holds texts of an unknown kind, {kind!r}.")
    return np.array(texts, dtype=dtype)


def _mersenne_state(state: Any) -> Any:
    # NumPy takes any position for granted, and would read past the end.
    if state[0] != "MT19937" or not 0 <= state[2] <= 624:
        raise FileError("The file holds a generator in an impossible state.")
    return state


def _global_states(states: list[Any]) -> list[Any]:
    """Try states that the global generators will be set to."""
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
