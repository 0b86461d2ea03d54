"""What a cell's tape is asked for: the targets, their seed, and the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tapemagic.inquiry import Seed
from tapemagic.options import GradError, Options
from tapemagic.questions import Target
from tapemagic.recording import Recorder, tensor_id
from tapemagic.sources import (
    Source,
    described,
    evaluated,
    expanded,
    is_differentiable,
    is_variable,
    names_in,
    unwrapped,
)


@dataclass
class Versions:
    """A WRT name: its value before the cell, the first one that the cell bound, and whether
    the old one had been read by then (None: not bound yet)."""

    before: Any = None
    first: Any = None
    read_before: bool | None = None


@dataclass(frozen=True)
class Wanted:
    """The choice among what the cell left: `bound` are the names that it bound, in order, `plain`
    the versions of the sources that are plain names, `variables` those that the tape saw."""

    options: Options
    namespace: dict[str, Any]
    bound: Sequence[str]
    plain: Mapping[str, Versions]
    recorder: Recorder
    variables: Callable[[], Iterable[Any]]

    def targets(self, last: Any) -> list[Target]:
        if self.options.of:
            targets = [self._named_target(text) for text in self.options.of]
        else:
            targets = [self._default_target(last)]
        if self.options.sum and len(targets) > 1:
            total = tf.add_n([tf.reduce_sum(target.value) for target in targets])
            targets = [Target("+".join(target.text for target in targets), total)]
        return targets

    def _named_target(self, text: str) -> Target:
        value = evaluated(text, self.namespace, "--of")
        if is_variable(value):
            raise GradError(
                f"{text} is a variable, not something computed: name what the cell computes"
            )
        if not is_differentiable(value):
            raise GradError(
                f"{text} is {described(value)}: a floating tensor is needed{self._hint()}"
            )
        return Target(text, value)

    def _default_target(self, last: Any) -> Target:
        if last is not None and is_differentiable(last.value) and not is_variable(last.value):
            return Target(" ".join(last.source.split()), last.value)
        for name in reversed(self.bound):
            value = self.namespace.get(name)
            versions = self.plain.get(name, Versions())
            source = versions.before if versions.read_before else versions.first
            is_source = name in self.plain and value is source
            if is_differentiable(value) and not is_variable(value) and not is_source:
                return Target(name, value)
        if self.options.wrt:
            self.sources()  # an integer source is the better complaint
        raise GradError(
            f"nothing to differentiate: the cell computed no floating tensor{self._hint()}"
        )

    def _hint(self) -> str:
        made = [
            name
            for name in self.bound
            if is_differentiable(self.namespace.get(name)) and name not in self.plain
        ]
        return f"; did you mean --of {made[-1]}?" if made else ""

    def seed(self, targets: Sequence[Target]) -> Any:
        if self.options.seed is None:
            return None
        value = evaluated(self.options.seed, self.namespace, "--seed")
        target = targets[0]
        try:
            seed = tf.cast(tf.convert_to_tensor(value), target.value.dtype)
        except Exception as error:
            raise GradError(f"--seed {self.options.seed}: {str(error).splitlines()[0]}") from error
        return seed

    def weights(self, seed: Any, target: Target, sources: Sequence[Source]) -> Seed:
        """What the seed weights: the target, or its first derivative if it is as large as that."""
        if seed is None or seed.shape == target.value.shape:
            return Seed(seed, 1, self.options.seed or "")
        options = self.options
        second = options.kind == "gradient" and options.order == 2 and len(sources) == 1
        if second and seed.shape == unwrapped(sources[0].value).shape:
            return Seed(seed, 2, options.seed or "")
        other = f", and {sources[0].text} {tuple(sources[0].value.shape)}" if second else ""
        raise GradError(
            f"--seed has shape {tuple(seed.shape)}, but {target.text} has shape "
            f"{tuple(target.value.shape)}{other}"
        )

    def sources(self) -> list[Source]:
        if not self.options.wrt:
            return self._read_variables()
        found: list[Source] = []
        for text in self.options.wrt:
            versions = self.plain.get(text) or Versions()
            if versions.read_before:
                value = versions.before
            elif versions.first is not None:
                value = versions.first
            else:
                value = evaluated(text, self.namespace, "WRT")
            found += expanded(text, value)
        if not found:
            raise GradError(f"{', '.join(self.options.wrt)} has no trainable variables yet")
        for source in found:
            if not is_differentiable(source.value):
                dtype = unwrapped(source.value).dtype.name
                raise GradError(
                    f"{source.text} is of dtype {dtype}: TensorFlow differentiates floating "
                    f"dtypes only; write {source.text} = tf.constant(…, dtype=tf.float32)"
                )
        return found

    def _read_variables(self) -> list[Source]:
        """Every trainable variable that the cell read, under its name in the namespace."""
        names = names_in(self.namespace)
        found = []
        for i, variable in enumerate(self.variables()):
            fallback = variable.name.split(":")[0].replace("/", ".") or f"variable{i}"
            found.append(Source(names.get(tensor_id(variable) or 0, fallback), variable))
        if not found:
            tensors = [
                name
                for name, value in self.namespace.items()
                if not name.startswith("_")
                and is_differentiable(value)
                and self.recorder.used(tensor_id(value))
            ]
            hint = f"; did you mean %%grad {tensors[0]}?" if tensors else ""
            raise GradError(
                f"nothing to differentiate with respect to: the cell read no variable{hint}"
            )
        return found
