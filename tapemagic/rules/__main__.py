"""python -m tapemagic.rules: the op types with a rule, and TensorFlow's that have none."""

from __future__ import annotations

import os

from tapemagic.rules import ROWS


def _differentiable() -> set[str]:
    """The op types for which the installed TensorFlow has a gradient registered."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow  # noqa: F401  (fills the registry)
    from tensorflow.python.framework import ops

    registry = getattr(ops, "gradient_registry", None) or ops._gradient_registry
    entries = {name: registry.lookup(name) for name in registry.list()}
    return {name for name, gradient in entries.items() if gradient is not None}


def main() -> None:
    """Print the table."""
    for kind, row in sorted(ROWS.items()):
        print(f"{kind:36} {'entry by entry' if row.elementwise else '':15} {row.rule}")
    missing = sorted(_differentiable() - set(ROWS))
    print(f"\n{len(ROWS)} op types have a rule. Differentiable without one ({len(missing)}):")
    print("  ".join(missing))


if __name__ == "__main__":
    main()
