"""The page's modules by themselves, in Node: numbers, curves, contours, steps of a descent."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
from pathlib import Path

from lab import needs

from tapemagic.numbers import in_dtype, written

PAGE = Path(__file__).with_name("page")
DTYPES = ["float64", "float32", "float16", "bfloat16"]


def _cases() -> list[list[object]]:
    """[value, dtype, text, exact] as tapemagic.numbers writes it."""
    chance = random.Random(7)
    values = [0.0, -0.0, 0.5, -3.0, 0.1, 1 / 3, 1e10, 123456789.0, 1e-5, 2.5e-7, 1e300]
    values += [math.inf, -math.inf, math.nan, 12345.65, 1234565.0, 0.1234565, 99999.95]
    values += [chance.gauss(0, 1) * 10 ** chance.uniform(-9, 9) for _ in range(250)]
    values += [round(chance.uniform(-5, 5), 2) for _ in range(150)]
    found = []
    for dtype in DTYPES:
        for value in values:
            held = in_dtype(value, dtype)
            shown = written(held, dtype)
            found.append(
                [held if math.isfinite(held) else str(held), dtype, str(shown), shown.exact]
            )
    return found


def test_modules(tmp_path: Path) -> None:
    needs("node")
    cases = tmp_path / "written.json"
    cases.write_text(json.dumps(_cases()))
    done = subprocess.run(
        ["node", "--test", *map(str, sorted(PAGE.glob("*.test.js")))],
        env={**os.environ, "TAPEMAGIC_WRITTEN": str(cases)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-6000:]
