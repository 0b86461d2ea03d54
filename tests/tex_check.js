// Reads a JSON list of LaTeX sources (without $$) on standard input and feeds each to KaTeX and to
// MathJax 3, with and without its text macros. Prints what they object to, then "n checked, m bad".
const katex = require("katex");
const { mathjax } = require("mathjax-full/js/mathjax.js");
const { TeX } = require("mathjax-full/js/input/tex.js");
const { SVG } = require("mathjax-full/js/output/svg.js");
const { liteAdaptor } = require("mathjax-full/js/adaptors/liteAdaptor.js");
const { RegisterHTMLHandler } = require("mathjax-full/js/handlers/html.js");
const { AllPackages } = require("mathjax-full/js/input/tex/AllPackages.js");

RegisterHTMLHandler(liteAdaptor());
const lenient = ["noerrors", "noundefined", "textmacros"];
const strict = AllPackages.filter((name) => !lenient.includes(name));
const formatError = (_, error) => { throw error; };
const documents = [strict, strict.concat("textmacros")].map((packages) =>
  mathjax.document("", {
    InputJax: new TeX({ packages, formatError }),
    OutputJax: new SVG({ fontCache: "none" }),
  }));

let bad = 0;
const attempt = (name, source, render) => {
  try { render(); } catch (error) { bad++; console.log(name, error.message, source.slice(0, 200)); }
};
const sources = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const source of sources) {
  attempt("KaTeX", source, () =>
    katex.renderToString(source, { displayMode: true, throwOnError: true, strict: "ignore" }));
  for (const page of documents) {
    attempt("MathJax", source, () => page.convert(source, { display: true }));
  }
}
console.log(`${sources.length} checked, ${bad} bad`);
