// Texts whose contrast with what is behind them is below 4.5, as WCAG computes it.
() => {
  const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ({ r, g, b }) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const over = (top, share, below) => d3.interpolateRgb(below, top)(share);

  // The bar of a chart that a text stands on, or the nearest ground of the document.
  function behind(e) {
    const box = e.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    let ground = null;
    for (let at = e; at && !ground; at = at.parentElement) {
      const colour = d3.rgb(getComputedStyle(at).backgroundColor);
      if (colour.opacity) ground = colour;
    }
    ground ??= d3.rgb("white");
    for (const bar of e.ownerSVGElement?.querySelectorAll("rect") ?? []) {
      const at = bar.getBoundingClientRect();
      if (at.left > x || x > at.right || at.top > y || y > at.bottom) continue;
      const style = getComputedStyle(bar);
      ground = over(d3.rgb(style.fill), style.fillOpacity * style.opacity, ground);
    }
    return d3.rgb(ground);
  }

  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest("script, option, [aria-label=tip]") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const own = e instanceof SVGElement ? style.fill : style.color;
    const [low, high] = [light(d3.rgb(own)), light(behind(e))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push([node.data.trim().slice(0, 40), e.tagName, own, ratio.toFixed(2)]);
  }
  return found.slice(0, 10);
}
