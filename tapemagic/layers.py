"""Which Keras layers and models run while a cell runs: each call is a stretch of the log."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tapemagic.log import OPEN, LayerCall
from tapemagic.recording import EagerTensor, Recorder, tensor_id
from tapemagic.replicas import replica
from tapemagic.sources import unwrapped

_HOMES = ("keras.src.layers.layer", "tf_keras.src.engine.base_layer")  # each defines a `Layer`


class Layers:
    """Between `start` and `stop`, writes the calls of layers into the recorder's log.

    `Layer.__call__` is wrapped, which costs nothing per op. Where the cell itself is the first
    to ask for Keras, it is wrapped as soon as it is there.
    """

    def __init__(self, recorder: Recorder, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._recorder, self._log = recorder, recorder.log
        self._depth = 0
        self._known: dict[int, tuple[Any, tuple[tuple[int, str], ...]]] = {}
        self._names: dict[int, tuple[Any, str]] = {}
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Follow the layers from here on; `stop` undoes it."""
        for home in _HOMES:
            if home in sys.modules:
                self._follow(sys.modules[home])
        waiting = _Waiting([home for home in _HOMES if home not in sys.modules], self._follow)
        sys.meta_path.insert(0, waiting)
        self._undo.append(functools.partial(_forget, waiting))

    def stop(self) -> None:
        """Put all back."""
        while self._undo:
            self._undo.pop()()
        self._known.clear()
        self._names.clear()

    def _follow(self, module: Any) -> None:
        owner = getattr(module, "Layer", None)
        if owner is None:
            return
        original: Any = vars(owner)["__call__"]

        @functools.wraps(original)
        def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._recorder.hears() or replica() > 0:
                return original(layer, *args, **kwargs)
            call = self._begin(layer, args, kwargs)
            try:
                found = original(layer, *args, **kwargs)
            except BaseException:
                self._leave(call)
                raise
            self._end(call, layer, found)
            return found

        owner.__call__ = called
        self._undo.append(functools.partial(setattr, owner, "__call__", original))

    # -- one call ----------------------------------------------------------------------------

    def _begin(self, layer: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> LayerCall:
        inputs = tuple(tensor._id for tensor in _tensors((args, kwargs)))
        call = LayerCall(self._name(layer), self._depth, inputs, len(self._log.raw), OPEN)
        self._log.layers.append(call)
        self._depth += 1
        return call

    def _leave(self, call: LayerCall) -> None:
        self._depth = call.depth
        if call in self._log.layers:  # a training loop's old steps are dropped
            self._log.layers.remove(call)

    def _end(self, call: LayerCall, layer: Any, found: Any) -> None:
        call.outputs = tuple(tensor._id for tensor in _tensors(found))
        if not call.outputs:  # it was built, or traced for a graph
            self._leave(call)
            return
        self._depth, call.last = call.depth, len(self._log.raw)
        try:
            call.parameters = self._parameters(layer)
        except Exception:  # noqa: BLE001 - a layer of the user's: then its parameters have no names
            call.parameters = ()

    def _name(self, layer: Any) -> str:
        """The user's name for it, else its own."""
        known = self._names.get(id(layer))
        if known is None:
            own = str(getattr(layer, "name", "") or type(layer).__name__)
            items = list(self._namespace.items())
            found = next((k for k, v in items if v is layer and not k.startswith("_")), own)
            known = self._names[id(layer)] = layer, found
        return known[1]

    def _parameters(self, layer: Any) -> tuple[tuple[int, str], ...]:
        """The ids of the variables that the layer holds, each with its role in it: kernel …"""
        weights = layer.weights
        known = self._known.get(id(layer))
        if known is not None and len(known[1]) == len(weights):
            return known[1]
        found = []
        for weight in weights:
            key = tensor_id(unwrapped(weight))
            if key is not None:
                found.append((key, str(weight.name).split(":")[0].rpartition("/")[2]))
        self._recorder.untouched()
        self._known[id(layer)] = layer, tuple(found)
        return tuple(found)


def _tensors(value: Any) -> Iterator[Any]:
    """The eager tensors in what a layer takes or gives."""
    if isinstance(value, EagerTensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)


class _Waiting:
    """A finder of modules that finds none: it tells when one of `names` has been imported."""

    def __init__(self, names: Sequence[str], imported: Callable[[Any], None]) -> None:
        self._names, self._imported = set(names), imported

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's own spec, whose loader tells us afterwards; None for all other modules."""
        if name not in self._names:
            return None
        self._names.discard(name)  # now the others find it
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module: Any) -> None:
            execute(module)
            self._imported(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def _forget(finder: Any) -> None:
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
