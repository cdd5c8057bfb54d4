// Texts whose contrast with what is behind them is below 4.5, as WCAG computes it.
() => {
  const rgb = (text) => { const c = d3.rgb(text); return c.opacity === 0 ? null : c; };
  const light = (c) => [c.r, c.g, c.b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c; } return d3.rgb("white"); };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest("script, option, [aria-label=tip]") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const own = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(d3.rgb(own)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([node.data.trim().slice(0, 40), e.tagName, own, ratio.toFixed(2)]);
  }
  return found.slice(0, 10);
}
