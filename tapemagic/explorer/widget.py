"""The page's end in the kernel: a widget whose traitlets follow the point, and lead it.

The page of the cell's output is the live view; this widget is found by it (`initialize` in
`page/index.js`), so that nothing needs to be displayed twice, and no saved notebook asks for a
widget that is gone. Displayed by itself it is an explorer of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from tapemagic.explorer import fragment
from tapemagic.explorer.payload import Piece
from tapemagic.explorer.program import NotExplorable, in_words
from tapemagic.explorer.view import View
from tapemagic.explorer.wishes import Wish

_OPEN: dict[str, Explorer] = {}  # by the cell that made it


class Explorer(anywidget.AnyWidget):
    """`point` is a number for one scalar source, else a dict of numbers and arrays by name.

    `value` is the target there, `derivative` a number, or a dict of partial derivatives by
    name; both are None where no known path through the cell holds.
    """

    _esm = fragment.source()
    payload = traitlets.Dict().tag(sync=True)
    point = traitlets.Any().tag(
        sync=True,
        to_json=lambda point, widget: widget.flat(point),
        from_json=lambda flat, widget: widget.shaped(flat),
    )
    value = traitlets.Float(None, allow_none=True)
    derivative = traitlets.Any(None, allow_none=True)

    def __init__(self, view: View, soon: Callable[[Callable[[], None]], None]) -> None:
        self._view, self._soon = view, soon
        self._lock = threading.Lock()
        self._wanted: Callable[[], dict[str, Any]] | None = None
        super().__init__(payload=view.payload, point=self.shaped(view.sliders.point))
        self.on_msg(self._told)

    # -- the point, as people and as the page write it ----------------------------------------

    def flat(self, point: Any) -> list[float]:
        """The entries in the order of the sliders."""
        if not isinstance(point, Mapping):
            return [float(entry) for entry in np.ravel(point)]
        return [
            float(np.asarray(point[s.symbol.name.text])[s.symbol.index]) for s in self._view.sliders
        ]

    def shaped(self, flat: Sequence[float]) -> Any:
        """A number for one scalar source, else numbers and arrays by name."""
        sliders = self._view.sliders
        if len(sliders) == 1 and not sliders[0].symbol.index:
            return float(flat[0])
        return self._by_name(flat)

    def _by_name(self, flat: Sequence[float]) -> dict[str, Any]:
        found = self._view.sliders.named(flat)
        return {k: whole.tolist() for k, whole in found.items()}  # of shape (): a number

    @traitlets.validate("point")
    def _checked(self, proposal: Any) -> Any:
        try:
            flat = self.flat(proposal.value)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            names = dict.fromkeys(s.symbol.name.text for s in self._view.sliders)
            raise traitlets.TraitError(f"a point has numbers for {', '.join(names)}") from error
        if len(flat) != len(self._view.sliders):
            raise traitlets.TraitError(f"a point has {len(self._view.sliders)} entries here")
        return self.shaped(flat)

    @traitlets.observe("point")
    def _moved(self, change: Any) -> None:
        found = self._view.at(self.flat(change.new))
        with self.hold_trait_notifications():
            self.value = None if found is None else found[0]
            if found is None:
                self.derivative = None
            elif not isinstance(self.point, Mapping):
                self.derivative = found[1][0]
            else:
                self.derivative = self._by_name(found[1])

    # -- what the page asks for ----------------------------------------------------------------

    def _told(self, _: Any, content: Any, buffers: Any) -> None:
        """The page needs the path that holds at a point, or has a wish for the kernel. Only the
        newest counts: it is granted when the kernel's main thread is free, never beside a
        running cell."""
        try:
            wanted = self._read(content)
        except (TypeError, ValueError, KeyError):
            return
        with self._lock:
            waits = self._wanted is not None
            self._wanted = wanted
        if not waits:
            self._soon(self._grant)

    def _read(self, content: Any) -> Callable[[], dict[str, Any]]:
        """How to grant what is wanted; raises where that makes no sense."""
        sliders, answers = self._view.sliders, self._view.answers
        if answers is not None:
            wish, side = Wish.read(content["wish"], sliders), int(content["side"])
            return lambda: {"answer": answers.answer(wish, side).data()}
        point = [float(entry) for entry in content["need"]]
        if len(point) != len(sliders):
            raise ValueError
        return lambda: {"piece": self._piece(point).data()}

    def _grant(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
        if wanted is None or self.comm is None:
            return
        try:
            self.send(wanted())
        except NotExplorable as reason:
            self.send({"message": str(reason)})
        except Exception as error:  # noqa: BLE001 - of the user's ops, at a point of the page's
            self.send({"message": f"the kernel cannot tell: {in_words(error)}"})

    def _piece(self, point: Sequence[float]) -> Piece:
        paths = self._view.paths
        if paths is None:
            raise NotExplorable("there is no path to follow")
        found_meanwhile = self._view.at(point) is not None
        return paths.holding(point) if found_meanwhile else paths.find(point)

    def close(self) -> None:
        """Let go of the page and of the view."""
        self.on_msg(self._told, remove=True)
        self.unobserve_all()
        layout = self.layout
        super().close()
        layout.close()  # it has a model of its own


def opened(view: View, place: str, soon: Callable[[Callable[[], None]], None]) -> Explorer:
    """The widget of a view; the one that the same cell made before is closed."""
    earlier = _OPEN.pop(place, None)
    if earlier is not None:
        earlier.close()
    made = _OPEN[place] = Explorer(view, soon)
    return made
