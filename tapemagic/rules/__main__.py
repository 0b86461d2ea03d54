"""python -m tapemagic.rules: the op types with a rule, entry by entry or for whole tensors, and
those of the installed TensorFlow's differentiable ones that have none."""

from __future__ import annotations

import os

from tapemagic.rules import ROWS
from tapemagic.tensors import complexes, lifting


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
    whole = {*lifting.ROWS, *complexes.ROWS} | {
        kind for kind, row in ROWS.items() if row.elementwise
    }
    every = sorted(set(ROWS) | whole)
    print(f"{'op type':40} {'in formulas of entries':40} in whole tensors")
    for kind in every:
        rule = ROWS[kind].rule if kind in ROWS else "—"
        print(f"{kind:40} {rule:40} {'yes' if kind in whole else '—'}")
    missing = sorted(_differentiable() - set(every))
    print(
        f"\n{len(every)} op types have a rule: {len(ROWS)} in formulas of entries,"
        f" {len(whole)} in whole tensors.\nDifferentiable without one ({len(missing)}):"
    )
    print("  ".join(missing))


if __name__ == "__main__":
    main()
