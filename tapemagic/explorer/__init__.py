"""Sliders: what `--explore` shows under a cell, from the equations to the page.

`ranges` reads what the sliders may do, `entries`, `registers` and `program` compile the equations
and their derivatives to straight-line code, `replay`, `table` and `answers` ask TensorFlow,
`wishes` are what the page wants of these, `branches` follows Python's decisions, `payload` puts
it together, `fragment`, `picture` and `widget` show it.
"""
