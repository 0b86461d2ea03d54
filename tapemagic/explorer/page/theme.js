/** Dark or light: as the ground is on which the explorer stands, which may change under it. */

function luminance(color) {
  const [r, g, b] = (color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return (0.299 * r + 0.587 * g + 0.114 * b) / 255;
}

/** Keeps `root`'s class `dark` true; returns how to stop. */
export function followTheme(root, wanted) {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const look = () => {
    const ground = getComputedStyle(root).backgroundColor;
    const dark = wanted ? wanted === "dark" : luminance(ground) < 0.5;
    root.classList.toggle("dark", dark);
  };
  const observer = new MutationObserver(() => requestAnimationFrame(look));
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, {
      attributes: true,
      attributeFilter: [
        "class",
        "style",
        "data-jp-theme-light",
        "data-jp-theme-name",
        "data-theme",
      ],
    });
  }
  media.addEventListener("change", look);
  document.addEventListener("load", look, true); // a theme's style sheet
  look();
  return () => {
    observer.disconnect();
    media.removeEventListener("change", look);
    document.removeEventListener("load", look, true);
  };
}
