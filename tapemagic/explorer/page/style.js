/**
 * The explorer's looks: JupyterLab's and VS Code's colours where they are, else light or dark as
 * the reader wants. Lines are Okabe and Ito's colours, darkened or lightened for contrast, and
 * differ in dashes or in width too. Sizes are in the explorer's own letters, which grow with the
 * room: a projector is read from the last row. Moving numbers do without a font's forms for
 * scripts ("ssty"), which Firefox draws and no canvas measures.
 */

export const STYLE = `
:host { all: initial; display: block; container-type: inline-size; }
.explorer {
  --ground: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --ink: var(--jp-content-font-color1, var(--vscode-editor-foreground, #1b1b1b));
  --curve: #0067a5; --tangent: #c84e00; --order-1: #00795a; --order-2: #a3397c; --order-3: #7a6200;
  --taylor: #6a3d9a; --secant: #00795a; --path: #1b1b1b; --good: #00795a; --bad: #b3261e;
  --soft: color-mix(in srgb, var(--ink) 9%, transparent);
  --faint: color-mix(in srgb, var(--ink) 20%, transparent);
  --line: color-mix(in srgb, var(--ink) 56%, transparent);
  --quiet: color-mix(in srgb, var(--ink) 78%, var(--ground));
  display: block; box-sizing: border-box; padding: 4px 2px 8px; color-scheme: light;
  color: var(--ink); background: var(--ground);
  font: 16px/1.45 var(--jp-content-font-family, system-ui, "Segoe UI", "DejaVu Sans", sans-serif);
}
@container (min-width: 1340px) { .explorer { font-size: 20px; } }
@media screen {
  .explorer.dark {
    --curve: #6fbdf0; --tangent: #ff9a52; --order-1: #35d0a5; --order-2: #f09ccb; --order-3: #e6cf52;
    --taylor: #c3a5f2; --secant: #35d0a5; --path: #f2f2f2; --good: #35d0a5; --bad: #ff8a80;
    color-scheme: dark;
  }
}
@media screen and (prefers-color-scheme: dark) {
  .explorer { --ground: var(--jp-layout-color0, var(--vscode-editor-background, #141416));
    --ink: var(--jp-content-font-color1, var(--vscode-editor-foreground, #eee)); }
}
.explorer *, .explorer *::before { box-sizing: border-box; }
.digits, input.number, td { font-variant-numeric: tabular-nums lining-nums; }
.math math, .name, .ticks .name { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math, serif; }
[hidden] { display: none !important; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.readout { --least: calc(9.6em + .55em * var(--letters)); display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--least)), 1fr)); gap: 2px 10px; align-items: center; min-height: 2.6em; padding: 0 4px 4px; font-size: 1.25em; max-width: var(--picture); }
.item { display: inline-flex; align-items: center; gap: .3em; }
.item .digits { white-space: nowrap; }
.item .math math { font-size: 1.1em; }
.plane { grid-column: 1 / -1; font-size: .85em; color: var(--quiet); min-height: 1.5em; white-space: nowrap; overflow-x: auto; overflow-y: hidden; }
.swatch { flex: none; width: 1.2em; height: .4em; overflow: visible; }
.curve { --stroke: var(--curve); } .tangent { --stroke: var(--tangent); }
.order-1 { --stroke: var(--order-1); } .order-2 { --stroke: var(--order-2); } .order-3 { --stroke: var(--order-3); }
.taylor { --stroke: var(--taylor); } .secant { --stroke: var(--secant); } .descent { --stroke: var(--path); }

.stage { position: relative; }
.line-view, .map { position: relative; }
svg.panel { display: block; overflow: hidden; touch-action: pan-y; user-select: none; cursor: crosshair; outline-offset: -2px; }
svg.panel.over-handle { cursor: grab; }
svg.panel:active { cursor: grabbing; }
.below svg.panel { margin-top: 4px; }
.frame { fill: none; stroke: var(--faint); }
.grid .line { stroke: var(--soft); stroke-width: 1; }
.grid .axis { stroke: var(--line); stroke-width: 1.5; }
.ticks text { fill: var(--quiet); font-size: .9375em; font-variant-numeric: tabular-nums; }
.ticks text.name { fill: var(--ink); font-style: italic; font-size: 1.2em; }
.ticks text.name, .contours text { paint-order: stroke; stroke: var(--ground); stroke-width: 5px; stroke-linejoin: round; }
.curve:is(path, line) { fill: none; stroke: var(--stroke); stroke-width: 4; stroke-linejoin: round; stroke-linecap: round; }
.curve.tangent:is(path, line) { stroke-width: 2.4; }
.curve.taylor:is(path, line) { stroke-width: 3; stroke-dasharray: 11 7; } .curve.secant:is(path, line) { stroke-dasharray: 1 7; }
.drop { fill: none; stroke: var(--line); stroke-width: 1.2; stroke-dasharray: 2 5; }
.dot { fill: var(--tangent); stroke: var(--ground); stroke-width: 2.5; }
circle.order-1, circle.order-2, circle.order-3 { fill: var(--stroke); }
circle.second { fill: var(--ground); stroke: var(--secant); stroke-width: 3.5; }
.aimed { fill: none; stroke: var(--tangent); stroke-width: 2.5; stroke-dasharray: 4 3; }
.hovered { fill: none; stroke: var(--curve); stroke-width: 2; }
.unknown { fill: var(--soft); }
.end { fill: var(--ground); stroke: var(--curve); stroke-width: 2.5; } .end.closed { fill: var(--curve); }
.kink { fill: var(--ground); stroke: var(--curve); stroke-width: 2; }
path.descent { fill: none; stroke: var(--path); stroke-width: 1.8; opacity: .75; }
.descent-steps { fill: none; stroke: var(--path); stroke-width: 9; stroke-linecap: round; }
.contour { fill: none; stroke: var(--curve); stroke-width: 1.7; } .contour.zero { stroke-width: 3; }
.contours text { fill: var(--ink); font-size: .875em; font-variant-numeric: tabular-nums; }
.arrow { fill: none; stroke: var(--tangent); stroke-width: 4; } .halo { fill: none; stroke: var(--ground); stroke-width: 8; }
.head path { fill: var(--tangent); stroke: var(--ground); stroke-width: 2; paint-order: stroke; }
.tip { position: absolute; left: 74px; top: 40px; padding: 1px 8px; border-radius: 4px; background: var(--ground); border: 1px solid var(--faint); font-size: .9375em; font-variant-numeric: tabular-nums; white-space: pre; pointer-events: none; }
.keys { display: none; right: 20px; top: auto; bottom: 44px; white-space: normal; }
svg.panel:focus-visible + .keys { display: block; }
.zooms { display: flex; gap: 4px; margin-left: auto; }
.plane-view.wide { display: flex; gap: 12px; }

/* The rows share their columns: sliders begin below one another, whatever the names are. */
.controls { display: grid; grid-template-columns: auto minmax(60px, 1fr) auto auto auto; gap: 2px 10px; padding: 4px 4px 0; max-width: var(--picture); }
.seconds { display: contents; }
.control { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; min-height: 2.75em; }
.control .name { min-width: 1.3em; font-style: italic; font-size: 1.25em; text-align: right; white-space: nowrap; }
input { font: inherit; color: inherit; } form { display: flex; margin: 0; }
input[type=range] { min-width: 60px; height: 32px; margin: 0; accent-color: var(--tangent); cursor: pointer; }
.control.secant input[type=range] { accent-color: var(--secant); }
input.number { width: 8.6em; height: 2.25em; padding: 4px 8px; border: 1.5px solid var(--line); border-radius: 5px; background: transparent; }
input.number[aria-invalid] { border-color: var(--bad); border-style: dashed; }
button { font: inherit; color: inherit; cursor: pointer; background: var(--ground); border: 1.5px solid var(--faint); border-radius: 6px; }
button:hover { border-color: var(--line); }
.icon { flex: none; width: 2.25em; height: 2.25em; padding: .42em; display: inline-grid; place-items: center; }
.icon svg { width: 100%; height: 100%; fill: currentColor; }
.icon.line svg { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.switches { padding: 6px 4px; max-width: var(--picture); }
.button { display: inline-flex; align-items: center; gap: 8px; min-height: 2.25em; padding: 3px 12px; }
.toggle[aria-pressed=true] { border-color: var(--stroke, var(--ink)); background: color-mix(in srgb, var(--stroke, var(--ink)) 14%, var(--ground)); }
.toggle .swatch { opacity: .55; } .toggle[aria-pressed=true] .swatch { opacity: 1; }
:focus-visible { outline: 3px solid color-mix(in srgb, var(--curve) 80%, transparent); outline-offset: 2px; border-radius: 6px; }

.message { margin: 0 4px; min-height: 1.45em; color: var(--bad); }
.check { display: flex; gap: 8px; margin: 4px; color: var(--quiet); min-height: 1.45em; }
.stack { display: grid; } .stack > * { grid-area: 1 / 1; } .keep { visibility: hidden; }
.mark { flex: none; width: 1em; text-align: center; font-weight: 700; color: var(--good); } .mark[data-agrees=false] { color: var(--bad); } .mark[data-agrees=null] { color: inherit; }
.limits, .hint { margin: 6px 4px; color: var(--quiet); max-width: 46em; }
.bars { display: grid; grid-template-columns: auto auto minmax(60px, 1fr) 7em; gap: 2px 10px; max-width: var(--picture); padding: 0 4px; }
.bar { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; min-height: 2em; cursor: pointer; }
.bar input { width: 18px; height: 18px; margin: 0; accent-color: var(--tangent); }
.bar .name { font-style: italic; font-size: 1.125em; white-space: nowrap; } .bar .digits { white-space: nowrap; }
.track { position: relative; height: 1.125em; overflow: hidden; background: linear-gradient(var(--line), var(--line)) 50% 0 / 1.5px 100% no-repeat var(--soft); }
.fill { position: absolute; inset: 0; transform-origin: 0 50%; background: var(--tangent); }

.descent-box { margin: 4px; padding: 10px 14px; border: 1.5px solid var(--faint); border-radius: 8px; max-width: var(--picture); }
.small-control { display: inline-flex; align-items: center; gap: 8px; flex: 1 1 300px; } .small-control input { flex: 1 1 60px; width: 60px; } .small-control .digits { min-width: 4em; }
.descent-box .row { margin-bottom: 8px; } .words { margin: 6px 0; min-height: 2.9em; }
.table { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: 2px 14px 2px 0; text-align: right; min-width: 5.5em; white-space: nowrap; } th { font-weight: 600; border-bottom: 1.5px solid var(--faint); }
tbody tr { height: 1.75em; }
th:first-child, td:first-child { min-width: 3em; }
.slices { flex: 1; min-width: 0; }

.formulas { margin: 8px 4px 0; padding-top: 6px; border-top: 1.5px solid var(--faint); overflow-x: auto; overflow-y: hidden; }
.formulas .tapemagic { font-size: 1em; }
.formulas .slot, .formulas .strut { display: inline-block; text-align: left; line-height: .8; }
.formulas .slot { font-variant-numeric: tabular-nums lining-nums; font-feature-settings: "ssty" 0; color: var(--curve); }
.formulas .strut { width: 0; visibility: hidden; }
.formulas .live { position: relative; z-index: 0; }
.formulas.moved [data-recorded] { visibility: hidden; }
.formulas.still.moved [data-recorded] { visibility: visible; opacity: .62; }
.formulas.elsewhere { opacity: .6; }
.formulas .caption { margin: 4px 0 8px; color: var(--quiet); }

@container (max-width: 760px) { .plane { white-space: normal; min-height: 2.9em; } }
@container (max-width: 480px) {
  .readout { --least: calc(8.7em + .55em * var(--letters)); font-size: 1em; gap: 2px 6px; } .swatch { width: 1.1em; }
  .controls, .bars { column-gap: 6px; } input.number { width: 6.5em; } .bar .name { font-size: 1em; } .bars { grid-template-columns: auto auto minmax(40px, 1fr) 6.6em; }
  .worded .control { grid-template-columns: minmax(60px, 1fr) auto auto auto; gap: 2px 6px; } .worded .name { grid-column: 1 / -1; text-align: left; }
  .check, .message { min-height: 2.9em; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }
/* The reader's own few colours: what is on is told by ground and dashes. */
@media (forced-colors: active) {
  .explorer, .explorer.dark {
    --ground: Canvas; --ink: CanvasText; --curve: CanvasText; --tangent: LinkText; --secant: LinkText; --taylor: CanvasText;
    --order-1: CanvasText; --order-2: CanvasText; --order-3: CanvasText; --path: CanvasText; --good: CanvasText; --bad: CanvasText;
  }
  .panel image { display: none; }
  .toggle[aria-pressed=true] { --stroke: HighlightText; forced-color-adjust: none; color: HighlightText; background: Highlight; border-color: Highlight; }
  .toggle[aria-pressed=true] .curve { --stroke: HighlightText; }
  .track, .fill { forced-color-adjust: none; }
  .formulas .slot { forced-color-adjust: none; color: LinkText; }
}
@media print {
  .explorer { --ground: #fff; --ink: #1b1b1b; --jp-content-font-color1: #1b1b1b; }
  .controls, .switches, .message, .tip, .descent-box .row { display: none !important; }
  .bar input { visibility: hidden; } .track, .fill { print-color-adjust: exact; }
  .readout, .stage, .item { break-inside: avoid; }
  svg.panel { max-width: 100%; height: auto; }
  .map, .slices { flex: 0 1 auto; min-width: 0; }
  .formulas { overflow: visible; } .formulas .tapemagic { font-size: .8em; }
  .formulas .slot { width: auto !important; } .formulas .live * { transform: none !important; } /* nothing moves here */
}
`;
