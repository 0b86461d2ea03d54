"""Matrix calculus on the trace: whole tensors as symbols, whatever their rank.

`nodes` are tensors written as sums of products over labelled axes (an einsum with symbols for
arrays); `algebra` builds them in a normal form; `lifting` reads the trace's operations into
them; `pullback` differentiates them; `evaluation` puts numbers in, `following` for all names in
turn; `matrix_form` and `index_form` write them as textbooks do.
"""
