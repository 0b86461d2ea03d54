/** Gradient descent from the point: steps, momentum, and what becomes of them, in words. */

import { brief } from "./numbers.js";

const KEPT = 200; // steps that are kept

export class Descent {
  constructor(model) {
    this.model = model;
    this.rate = 0.1;
    this.momentum = 0;
    this.begin(null);
  }

  /** Forget the path; the next step starts where the point is. */
  begin(state) {
    this.velocity = this.model.sources.map(() => 0);
    this.path = state ? [state] : [];
  }

  /** The next step: v ← m·v − η·∇, x ← x + v. Null where there is no finite slope. */
  next(state) {
    if (!this.path.length || this.path.at(-1).point.join() !== state.point.join())
      this.begin(state);
    if (!state.gradient.every(Number.isFinite)) return null;
    const velocity = this.velocity.map((v, k) => this.momentum * v - this.rate * state.gradient[k]);
    return { velocity, point: this.model.held(state.point.map((x, k) => x + velocity[k])) };
  }

  /** The step has led to this state. */
  reach({ velocity }, state) {
    this.velocity = velocity;
    this.path.push({ ...state, registers: null });
    if (this.path.length > KEPT) this.path.shift();
  }

  /** What is seen, in a sentence. */
  words() {
    const n = this.path.length - 1;
    if (n < 1) return "Each step goes against the gradient, by the learning rate times the slope.";
    const [before, last] = this.path.slice(-2);
    if (last.word) return `Step ${n}: ${last.word}.`;
    if (last.piece < 0) return `Step ${n} left the branch that was run.`;
    if (!Number.isFinite(last.value))
      return `Step ${n}: the target is ${brief(last.value)}. The descent has diverged.`;
    if (this._grows()) {
      return `Step ${n}: the target grows, from ${brief(before.value)} to ${brief(last.value)}: the descent diverges. A smaller learning rate helps.`;
    }
    const size = Math.hypot(...last.gradient);
    if (size <= 1e-3 * Math.max(1, Math.hypot(...this.path[0].gradient))) {
      return `Step ${n}: the slope is almost 0 (${brief(size, 2)}): it has settled.`;
    }
    const word = last.value > before.value ? "rose" : last.value < before.value ? "fell" : "stayed";
    return `Step ${n}: the target ${word} from ${brief(before.value)} to ${brief(last.value)}.`;
  }

  /** Three steps upwards in a row, each the longer. */
  _grows() {
    const last = this.path.slice(-4);
    if (last.length < 4) return false;
    return last.every((state, k) => k === 0 || state.value > last[k - 1].value);
  }
}
