"""What people write step by step and textbooks write as one function: softmax, log-sum-exp …

Each rule is an identity: it holds for all values, and the derivative of one side is that of the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tapemagic.tensors import brackets, exponentials, identities
from tapemagic.tensors.algebra import rebuilt
from tapemagic.tensors.nodes import Contract, Function, Map, Node, Plus, Reshape, postorder
from tapemagic.tensors.unmerging import apart, summed_apart
from tapemagic.tensors.vectorising import over_all

Rule = Callable[[Node], "Node | None"]


def recognised(node: Node) -> Node:
    """`node` with every part written as the function that it is."""
    done: dict[Node, Node] = {}
    for part in postorder([node]):
        children = [done[child] for child in part.children]
        same = all(a is b for a, b in zip(children, part.children))
        new = part if same else rebuilt(part, children)
        done[part] = at(new)
    return done[node]


def at(node: Node) -> Node:
    """The same for the node itself, whose parts have been looked at."""
    for rule in RULES.get(type(node), ()):
        found = rule(node)
        if found is not None:
            return at(found)
    return node


def _factored(node: Node) -> Node | None:
    return brackets.factored(node, at)


RULES: Mapping[type, tuple[Rule, ...]] = {
    Contract: (
        summed_apart,
        identities.cut_wave,
        exponentials.softmax_of,
        exponentials.sums_to_one,
        identities.masked_root,
        identities.root_inverses,
        identities.log_of_root,
        identities.chosen_only,
        brackets.cancelled,
    ),
    Plus: (
        over_all,
        exponentials.logsumexp_shifted,
        exponentials.log_softmax,
        identities.same_determinant,
        exponentials.softplus,
        _factored,
        brackets.cancelled,
    ),
    Map: (
        exponentials.log_of_sum,
        exponentials.log_of_softmax,
        identities.log_of_determinant,
        exponentials.sigmoid,
    ),
    Reshape: (apart,),
    Function: (identities.along_identity,),
}
