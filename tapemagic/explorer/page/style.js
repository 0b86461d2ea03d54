/**
 * The explorer's looks: JupyterLab's and VS Code's colours where they are, else light or dark as
 * the reader wants. Lines are Okabe and Ito's colours, darkened or lightened for contrast, and
 * differ in dashes too. Moving numbers do without a font's forms for scripts ("ssty"), which
 * Firefox draws and no canvas measures.
 */

export const STYLE = `
:host { all: initial; display: block; contain: inline-size; }
.explorer {
  --ground: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --ink: var(--jp-content-font-color1, var(--vscode-editor-foreground, #1b1b1b));
  --curve: #0067a5; --tangent: #c84e00; --order-1: #00795a; --order-2: #a3397c; --order-3: #7a6200;
  --taylor: #6a3d9a; --secant: #00795a; --path: #1b1b1b; --good: #00795a; --bad: #b3261e;
  --soft: color-mix(in srgb, var(--ink) 9%, transparent);
  --faint: color-mix(in srgb, var(--ink) 16%, transparent);
  --line: color-mix(in srgb, var(--ink) 42%, transparent);
  --quiet: color-mix(in srgb, var(--ink) 76%, var(--ground));
  display: block; box-sizing: border-box; max-width: 70rem; padding: 4px 2px 8px; color-scheme: light;
  color: var(--ink); background: var(--ground);
  font: 16px/1.45 var(--jp-content-font-family, system-ui, "Segoe UI", "DejaVu Sans", sans-serif);
}
.explorer.dark {
  --curve: #6fbdf0; --tangent: #ff9a52; --order-1: #35d0a5; --order-2: #f09ccb; --order-3: #e6cf52;
  --taylor: #c3a5f2; --secant: #35d0a5; --path: #f2f2f2; --good: #35d0a5; --bad: #ff8a80;
  color-scheme: dark;
}
@media (prefers-color-scheme: dark) {
  .explorer { --ground: var(--jp-layout-color0, var(--vscode-editor-background, #141416));
    --ink: var(--jp-content-font-color1, var(--vscode-editor-foreground, #eee)); }
}
.explorer *, .explorer *::before { box-sizing: border-box; }
.digits, input.number, td { font-variant-numeric: tabular-nums lining-nums; }
.math math, .name, .ticks .name { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math, serif; }
[hidden] { display: none !important; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.readout { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, max(194px, var(--item))), 1fr)); gap: 2px 10px; align-items: center; min-height: 52px; padding: 0 4px 4px; font-size: 20px; max-width: 960px; }
.item { display: inline-flex; align-items: center; gap: 7px; }
.item .digits { white-space: nowrap; }
.item .math math { font-size: 22px; }
.plane { grid-column: 1 / -1; font-size: 17px; color: var(--quiet); min-height: 1.5em; white-space: nowrap; overflow-x: auto; overflow-y: hidden; }
.narrow .plane { white-space: normal; min-height: 2.9em; }
.swatch { display: inline-block; flex: none; width: 22px; height: 0; border-top: 4px solid var(--stroke, currentColor); border-radius: 2px; }
.curve { --stroke: var(--curve); } .tangent { --stroke: var(--tangent); }
.order-1 { --stroke: var(--order-1); } .order-2 { --stroke: var(--order-2); } .order-3 { --stroke: var(--order-3); }
.taylor { --stroke: var(--taylor); } .secant { --stroke: var(--secant); } .descent { --stroke: var(--path); }
.taylor .swatch { border-top-style: dashed; } .secant .swatch { border-top-style: dotted; }
.item.order-2 .swatch, .item.order-3 .swatch { visibility: visible; }

.stage { position: relative; }
.line-view, .map { position: relative; }
svg.panel { display: block; overflow: hidden; touch-action: pan-y; user-select: none; cursor: crosshair; outline-offset: -2px; }
svg.panel.over-handle { cursor: grab; }
svg.panel:active { cursor: grabbing; }
.below svg.panel { margin-top: 4px; }
.frame { fill: none; stroke: var(--faint); }
.grid .line { stroke: var(--soft); stroke-width: 1; }
.grid .axis { stroke: var(--line); stroke-width: 1.5; }
.ticks text { fill: var(--quiet); font-size: 15px; font-variant-numeric: tabular-nums; }
.ticks text.name { fill: var(--ink); font-style: italic; font-size: 19px; }
.ticks text.name, .contours text { paint-order: stroke; stroke: var(--ground); stroke-width: 5px; stroke-linejoin: round; }
path.curve { fill: none; stroke: var(--stroke); stroke-width: 3.2; stroke-linejoin: round; stroke-linecap: round; }
path.curve.tangent { stroke-width: 2.8; }
path.curve.taylor { stroke-dasharray: 11 7; } path.curve.secant { stroke-dasharray: 2 7; stroke-width: 3.4; }
.drop { fill: none; stroke: var(--line); stroke-width: 1.2; stroke-dasharray: 2 5; }
.dot { fill: var(--tangent); stroke: var(--ground); stroke-width: 2.5; }
circle.order-1, circle.order-2, circle.order-3 { fill: var(--stroke); }
circle.second { fill: var(--ground); stroke: var(--secant); stroke-width: 3.5; }
.aimed { fill: none; stroke: var(--tangent); stroke-width: 2.5; stroke-dasharray: 4 3; }
.hovered { fill: none; stroke: var(--curve); stroke-width: 2; }
.unknown { fill: var(--soft); }
.end { fill: var(--ground); stroke: var(--curve); stroke-width: 2.5; } .end.closed { fill: var(--curve); }
.kink { fill: var(--ground); stroke: var(--curve); stroke-width: 2; }
.descent { fill: none; stroke: var(--path); stroke-width: 1.8; opacity: .75; }
.descent-steps { fill: none; stroke: var(--path); stroke-width: 9; stroke-linecap: round; }
.contour { fill: none; stroke: var(--curve); stroke-width: 1.7; } .contour.zero { stroke-width: 3; }
.contours text { fill: var(--ink); font-size: 14px; font-variant-numeric: tabular-nums; }
.arrow { fill: none; stroke: var(--tangent); stroke-width: 4; } .head path { fill: var(--tangent); }
.tip { position: absolute; left: 74px; top: 40px; padding: 1px 8px; border-radius: 4px; background: var(--ground); border: 1px solid var(--faint); font-size: 15px; font-variant-numeric: tabular-nums; white-space: pre; pointer-events: none; }
.zooms { display: flex; gap: 4px; margin-left: auto; }
.plane-view.wide { display: flex; gap: 12px; }

.controls { display: grid; grid-template-columns: minmax(0, 1fr); gap: 2px; padding: 4px 4px 0; max-width: 860px; }
.control { display: flex; align-items: center; gap: 10px; min-height: 44px; }
.control .name { min-width: 1.6em; font-style: italic; font-size: 20px; text-align: right; white-space: nowrap; }
input { font: inherit; color: inherit; } form { margin: 0; }
input[type=range] { flex: 1 1 60px; width: 60px; min-width: 60px; height: 32px; margin: 0; accent-color: var(--tangent); cursor: pointer; }
.control.secant input[type=range] { accent-color: var(--secant); }
input.number { width: 8.6em; padding: 4px 8px; border: 1.5px solid var(--line); border-radius: 5px; background: transparent; }
input.number[aria-invalid] { border-color: var(--bad); }
button { font: inherit; color: inherit; cursor: pointer; background: var(--ground); border: 1.5px solid var(--faint); border-radius: 6px; }
button:hover { border-color: var(--line); }
.icon { flex: none; width: 36px; height: 36px; padding: 7px; display: inline-grid; place-items: center; }
.icon svg { width: 100%; height: 100%; fill: currentColor; }
.icon.line svg { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.switches { padding: 6px 4px; max-width: 1000px; }
.button { display: inline-flex; align-items: center; gap: 8px; min-height: 36px; padding: 3px 12px; }
.toggle[aria-pressed=true] { border-color: var(--stroke, var(--ink)); background: color-mix(in srgb, var(--stroke, var(--ink)) 12%, var(--ground)); }
.toggle .swatch { opacity: .55; } .toggle[aria-pressed=true] .swatch { opacity: 1; }
:focus-visible { outline: 3px solid color-mix(in srgb, var(--curve) 75%, transparent); outline-offset: 2px; border-radius: 6px; }

.message { margin: 0 4px; min-height: 1.45em; color: var(--bad); }
.check { display: flex; gap: 8px; margin: 4px; color: var(--quiet); min-height: 1.45em; }
.stack { display: grid; } .stack > * { grid-area: 1 / 1; } .keep { visibility: hidden; }
.mark { flex: none; width: 1em; text-align: center; font-weight: 700; color: var(--good); } .mark[data-agrees=false] { color: var(--bad); } .mark[data-agrees=null] { color: inherit; }
.limits, .hint { margin: 6px 4px; color: var(--quiet); max-width: 46em; }
.bars { display: grid; gap: 2px; max-width: 860px; padding: 0 4px; }
.bar { display: flex; align-items: center; gap: 10px; min-height: 32px; cursor: pointer; }
.bar input { width: 18px; height: 18px; margin: 0; accent-color: var(--tangent); }
.bar .name { min-width: 5em; font-style: italic; font-size: 18px; } .bar .digits { min-width: 6em; }
.track { position: relative; flex: 1; height: 18px; overflow: hidden; background: linear-gradient(var(--line), var(--line)) 50% 0 / 1.5px 100% no-repeat var(--soft); }
.fill { position: absolute; inset: 0; transform-origin: 0 50%; background: var(--tangent); }

.descent-box { margin: 4px; padding: 10px 14px; border: 1.5px solid var(--faint); border-radius: 8px; max-width: 860px; }
.small-control { display: inline-flex; align-items: center; gap: 8px; flex: 1 1 300px; } .small-control output { min-width: 4em; }
.descent-box .row { margin-bottom: 8px; } .words { margin: 6px 0; min-height: 2.9em; }
.table { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: 2px 14px 2px 0; text-align: right; min-width: 5.5em; white-space: nowrap; } th { font-weight: 600; border-bottom: 1.5px solid var(--faint); }
tbody tr { height: 1.75em; }
th:first-child, td:first-child { min-width: 3em; }
.slices { flex: 1; min-width: 0; }

.formulas { margin: 8px 4px 0; padding-top: 6px; border-top: 1.5px solid var(--faint); overflow-x: auto; overflow-y: hidden; }
.formulas .slot, .formulas .strut { display: inline-block; text-align: left; line-height: .8; }
.formulas .slot { font-variant-numeric: tabular-nums lining-nums; font-feature-settings: "ssty" 0; color: var(--curve); }
.formulas .strut { width: 0; visibility: hidden; }
.formulas .live { position: relative; z-index: 0; }
.formulas.moved [data-recorded] { visibility: hidden; }
.formulas.still.moved [data-recorded] { visibility: visible; opacity: .62; }
.formulas.elsewhere { opacity: .35; }
.formulas .caption { margin: 4px 0 8px; color: var(--quiet); }
@media (max-width: 480px) {
  .readout { grid-template-columns: repeat(auto-fill, minmax(min(100%, max(156px, var(--item))), 1fr)); font-size: 17px; } .item .math math { font-size: 18px; } .swatch { width: 14px; } .control { gap: 6px; } input.number { width: 6em; } .check, .message { min-height: 2.9em; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }
`;
