"use strict";
// Draws and searches what the page embeds. Charts are Observable Plot's; all text is set as text, never as markup.
(async () => {
  const packed = document.getElementById("data").textContent;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = await new Response(stream).json();
  if (!data.settings.length) return;
  document.documentElement.classList.add("js");

  const UNDEFINED = 65535;
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const unpacked = (text, Type) => new Type(bytes(text).buffer);
  const state = { of: 0, run: 0, score: "", item: null, share: 20, axes: "ranks", search: "", filter: "all", sort: "order", shown: 60 };

  // An element with text and children; `null` children are left out.
  function element(name, options = {}, ...children) {
    const { text, on, ...attributes } = options;
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
    for (const [type, listener] of Object.entries(on ?? {})) made.addEventListener(type, listener);
    if (text !== undefined) made.textContent = text;
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);
  const signed = (value, digits = 2) =>
    value === null || Number.isNaN(value) ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
  const number = (value, digits = 2) =>
    value === null || Number.isNaN(value) ? "–" : value.toFixed(digits).replace("-", "−");
  const text = (place) => (place < 0 ? null : data.texts[place]);

  function colour(score) {
    const base = d3.lch(of(setting().colours, score) ?? "#666");
    return dark.matches ? d3.lch(Math.max(base.l, 68), base.c, base.h).formatHex() : base.formatHex();
  }
  const ink = (name) => `var(--${name})`;

  // Everything of one setting that sections read, unpacked once.
  const opened = new Map();
  function setting() {
    if (!opened.has(state.of)) {
      const raw = data.settings[state.of];
      const checkpoints = raw.checkpoints.map((point) => ({
        ...point,
        quality: unpacked(point.quality, Float32Array),
        correct: unpacked(point.correct, Uint8Array),
        output: unpacked(point.output, Int32Array),
        ranks: point.ranks.map((ranks) => ranks && unpacked(ranks, Uint16Array)),
      }));
      opened.set(state.of, { ...raw, checkpoints });
    }
    return opened.get(state.of);
  }

  // What a list in the order of the setting's scores holds of one.
  const of = (list, score) => list[setting().scores.indexOf(score)];
  const rank = (point, score, i) => {
    const value = (point && of(point.ranks, score))?.[i] ?? UNDEFINED;
    return value === UNDEFINED ? null : value / 1000;
  };
  const judged = (point, i) => ({ 0: "wrong", 1: "right" })[point?.correct[i]] ?? "";

  // Share of the other values below each, ties half; NaN where there is none.
  function shares(values) {
    const known = Float64Array.from(values.filter((v) => !Number.isNaN(v))).sort();
    return values.map((v) => {
      if (Number.isNaN(v)) return NaN;
      const [below, upto] = [d3.bisectLeft(known, v), d3.bisectRight(known, v)];
      return (below + upto - 1) / (2 * Math.max(1, known.length - 1));
    });
  }

  const side = (dc, dq) => (dc > 0 && dq < 0 ? "over" : dc < 0 && dq > 0 ? "under" : "concordant");

  // The items of the chosen run, with what happened to each.
  function items() {
    const one = setting();
    const end = one.ends[Math.min(state.run, one.ends.length - 1)];
    if (!end) return [];
    const [before, after] = [end.before === null ? null : one.checkpoints[end.before], one.checkpoints[end.after]];
    const changes = of(end.dc, state.score);
    const moved = changes ? unpacked(changes, Float32Array) : null;
    return one.ids.map((id, i) => {
      const [q0, q1] = [before ? before.quality[i] : NaN, after.quality[i]];
      const [r0, r1] = [rank(before, state.score, i), rank(after, state.score, i)];
      const [dq, dc] = [q1 - q0, moved ? moved[i] : NaN];
      return {
        i, id, q0, q1, r0, r1, dq, dc, side: side(dc, dq),
        dr: r0 === null || r1 === null ? NaN : r1 - r0,
        was: judged(before, i), now: judged(after, i),
        output: text(after.output[i]) ?? "",
      };
    });
  }

  const width = (holder) => Math.max(140, Math.floor(holder.getBoundingClientRect().width));
  function plot(holder, options) {
    const chart = Plot.plot({
      className: "plot", style: { background: "transparent", color: ink("ink"), fontSize: "11px" }, ...options,
    });
    holder.replaceChildren(chart);
    return chart;
  }
  const tip = (rows, options) =>
    Plot.tip(rows, Plot.pointer({ ...options, fill: ink("paper"), stroke: ink("line"), textPadding: 6 }));

  const legend = (...parts) => element("p", { class: "legend small" }, ...parts.map(([mark, words, style]) =>
    element("span", {}, element("span", { class: `mark ${style ?? ""}`, text: mark }), ` ${words}`)));

  // What a chart has of each score of the setting, in the order of the first screen.
  const rowsOf = (name) => setting().charts[name].map(([score, values]) => ({ score, values }));

  // A chart with a row for each score; `marks` lie on the axis "score". A click on a row chooses its score.
  function byScore(holder, rows, { marks, title, x, key = [] }) {
    if (!rows.length) return holder.replaceChildren(element("p", { class: "soft", text: "No score has a number here." }));
    const w = width(holder);
    const most = w < 460 ? 17 : 34;
    const short = (row) => (row.score.length > most ? `${row.score.slice(0, most - 1)}…` : row.score);
    const names = (chosen) => Plot.text(rows.filter((row) => (row.score === state.score) === chosen), {
      y: "score", text: short, frameAnchor: "left", textAnchor: "end", dx: -8, fontWeight: chosen ? 700 : 400,
    });
    const chart = plot(holder, {
      width: w, height: 19 * rows.length + 44, marginTop: 4, marginBottom: 40, marginRight: 12,
      marginLeft: 12 + 7.2 * d3.max(rows, (row) => short(row).length),
      x: { labelAnchor: "center", ticks: w < 460 ? 4 : 7, ...x },
      y: { type: "band", padding: 0.25, axis: null, domain: rows.map((row) => row.score) },
      marks: [
        Plot.gridX({ stroke: ink("line"), strokeOpacity: 1 }),
        ...marks, names(false), names(true),
        Plot.tip(rows, Plot.pointerY({ y: "score", fill: ink("paper"), stroke: ink("line"), textPadding: 6, frameAnchor: "right", title: (row) => `${row.score}\n${title(row)}` })),
      ],
    });
    chart.addEventListener("click", () => chart.value && set({ score: chart.value.score }));
    if (key.length) holder.prepend(legend(...key));
  }

  // A number of each score, and the range in which it would lie if nothing changed.
  function besideNull(holder, rows, x, said) {
    const known = rows.filter((row) => row.low !== null && row.high !== null);
    byScore(holder, rows, {
      x: { nice: true, ...x },
      key: [["●", "measured"], ["", "with no change, 95 %", "range-mark"]],
      title: (row) => `${said(row.v)}; with no change ${said(row.null)} [${said(row.low)}, ${said(row.high)}]`,
      marks: [
        Plot.ruleX([0], { stroke: ink("soft") }),
        Plot.ruleY(known, { y: "score", x1: "low", x2: "high", stroke: ink("soft"), strokeOpacity: 0.35, strokeWidth: 8 }),
        Plot.tickX(known, { y: "score", x: "null", stroke: ink("soft"), strokeWidth: 1.5 }),
        Plot.dot(rows, { y: "score", x: "v", r: 4.5, fill: (row) => colour(row.score), stroke: ink("paper") }),
      ],
    });
  }

  // Two numbers of each score, the first hollow.
  function twoDots(holder, rows, label, key) {
    byScore(holder, rows, {
      x: { label, nice: true },
      key: [["○", key[0]], ["●", key[1]]],
      title: (row) => `${key[0]}: ${number(row.a)}\n${key[1]}: ${row.b === null ? "–" : number(row.b)}`,
      marks: [
        Plot.ruleX([0], { stroke: ink("soft") }),
        Plot.ruleY(rows.filter((row) => row.b !== null), { y: "score", x1: "a", x2: "b", stroke: (row) => colour(row.score), strokeWidth: 1.5 }),
        Plot.dot(rows, { y: "score", x: "a", r: 4.5, fill: ink("paper"), stroke: (row) => colour(row.score), strokeWidth: 1.8 }),
        Plot.dot(rows.filter((row) => row.b !== null), { y: "score", x: "b", r: 4.5, fill: (row) => colour(row.score), stroke: ink("paper") }),
      ],
    });
  }

  // Shares of each score, one after the other; `parts` are [words, fill, ink].
  function stacked(holder, rows, parts) {
    const cells = rows.flatMap((row) => parts.map(([words, fill, letters], k) => {
      const x1 = d3.sum(row.values.slice(0, k));
      return { score: row.score, words, fill, letters, x1, x2: x1 + row.values[k], share: row.values[k] };
    }));
    const least = 26 / Math.max(80, width(holder) - 160);
    byScore(holder, rows, {
      x: { label: "share (%)", domain: [0, 100], percent: true },
      key: parts.map(([words, , , style]) => ["", words, style]),
      title: (row) => parts.map(([words], k) => `${words}: ${percent(row.values[k])}`).join("\n"),
      marks: [
        Plot.barX(cells, { y: "score", x1: "x1", x2: "x2", fill: "fill", stroke: ink("paper") }),
        Plot.text(cells.filter((cell) => cell.share >= least), { y: "score", x: (cell) => (cell.x1 + cell.x2) / 2, text: (cell) => Math.round(100 * cell.share), fill: "letters", fontSize: 10 }),
      ],
    });
  }

  const DASHES = [undefined, "4,3", "1,3", "7,3,1,3"];

  const draw = {
    // Small multiples: one chart a score, all on the same axes.
    epochs(holder) {
      const one = setting();
      const names = one.scores.filter((name) => of(one.curves, name)?.some(([, rho]) => rho !== null));
      const values = names.flatMap((name) => of(one.curves, name).flatMap(([, ...ends]) => ends.filter((v) => v !== null)));
      const [low, high] = [Math.max(-1, Math.min(0, ...values)), Math.min(1, Math.max(0.2, ...values))];
      const grid = element("div", { class: "multiples" });
      holder.replaceChildren(grid);
      for (const name of names) {
        const points = of(one.curves, name).map(([epoch, rho, l, h]) => ({ epoch, rho, l, h })).filter((p) => p.rho !== null);
        const chart = element("div");
        const choose = element("button", { type: "button", text: name, title: `show ${name} everywhere`, on: { click: () => set({ score: name }) } });
        const box = element("div", { class: name === state.score ? "now" : undefined }, choose, chart);
        grid.append(box);
        const epochs = points.map((p) => p.epoch);
        plot(chart, {
          width: width(chart), height: 118, marginLeft: 30, marginRight: 8, marginTop: 8, marginBottom: 20,
          x: { label: null, ticks: epochs.length > 6 ? d3.ticks(0, d3.max(epochs), 5).filter(Number.isInteger) : epochs, tickFormat: (e) => `${e}`, domain: [d3.min(epochs), d3.max(epochs)] },
          y: { label: null, domain: [low, high], ticks: 4, grid: true, clamp: true },
          ariaLabel: `${name} by epoch`,
          marks: [
            Plot.ruleY([0], { stroke: ink("soft") }),
            Plot.ruleX(one.selected, { stroke: ink("soft"), strokeDasharray: "2,3" }),
            Plot.areaY(points, { x: "epoch", y1: "l", y2: "h", fill: colour(name), fillOpacity: 0.18 }),
            Plot.lineY(points, { x: "epoch", y: "rho", stroke: colour(name), strokeWidth: 1.8 }),
            Plot.dot(points, { x: "epoch", y: "rho", fill: colour(name), r: 2.2 }),
            tip(points, { x: "epoch", y: "rho", title: (p) => `epoch ${p.epoch}: ρ ${number(p.rho)} [${number(p.l ?? NaN)}, ${number(p.h ?? NaN)}]` }),
          ],
        });
      }
    },

    // What fine-tuning did to each item.
    moves(holder) {
      const everyone = items();
      const ranks = state.axes === "ranks";
      const [was, now] = ["q0", "q1"].map((key) => shares(everyone.map((row) => row[key])));
      const rows = everyone
        .map((row, k) => ({ ...row, x: ranks ? 100 * (now[k] - was[k]) : row.dq, y: ranks ? 100 * row.dr : row.dc }))
        .filter((row) => Number.isFinite(row.dc) && Number.isFinite(row.dq));
      if (!rows.length) return holder.replaceChildren(element("p", { class: "soft", text: "No item has both at both checkpoints." }));
      const [x, y] = [d3.max(rows, (r) => Math.abs(r.x)) || 1, d3.quantile(rows.map((r) => Math.abs(r.y)), ranks ? 1 : 0.98) || 1];
      const fill = { over: ink("over"), under: ink("under"), concordant: ink("none") };
      const w = Math.min(width(holder), 760);
      const corner = (dx, dy, words, side) => Plot.text([w < 480 ? words.split(":")[0] : words], {
        x: dx * x, y: dy * y * 1.08, fill: fill[side], textAnchor: dx > 0 ? "end" : "start", fontWeight: 600, dy: dy > 0 ? 4 : -4,
      });
      const chart = plot(holder, {
        width: w, height: Math.min(440, Math.max(300, w * 0.6)), marginLeft: 46, inset: 10,
        x: { label: ranks ? "change in the rank of quality, in % of the items →" : "change in quality →", domain: [-x, x], labelAnchor: "center", ticks: 6 },
        y: { label: `↑ change in ${ranks ? "the rank of confidence, in % of the items" : "confidence"} (${state.score})`, domain: [-1.1 * y, 1.1 * y], clamp: true, ticks: 6, grid: true },
        marks: [
          Plot.ruleX([0], { stroke: ink("soft") }), Plot.ruleY([0], { stroke: ink("soft") }),
          corner(-1, 1, w < 700 ? "over-confident" : "over-confident: confidence rose, quality fell", "over"),
          corner(1, -1, w < 700 ? "under-confident" : "under-confident: confidence fell, quality rose", "under"),
          Plot.dot(rows, { x: "x", y: "y", fill: (r) => fill[side(r.y, r.x)], fillOpacity: 0.65, r: rows.length > 600 ? 2.2 : 3.2 }),
          Plot.dot(rows.filter((r) => r.id === state.item), { x: "x", y: "y", stroke: ink("ink"), r: 7, strokeWidth: 2 }),
          tip(rows, { x: "x", y: "y", title: (r) => `${r.id}\nquality ${number(r.q0)} → ${number(r.q1)}\nconfidence above ${percent(r.r0)} → ${percent(r.r1)} of the items\n${r.output.slice(0, 90)}` }),
        ],
      });
      chart.addEventListener("click", () => chart.value && open(chart.value.id));
    },

    quadrants(holder) {
      stacked(holder, rowsOf("quadrants"), [
        ["over-confident", ink("over"), ink("paper"), "over-mark"], ["concordant", ink("none-bg"), ink("ink"), "none-mark"],
        ["tied", ink("half"), ink("ink"), "half-mark"], ["under-confident", ink("under"), ink("paper"), "under-mark"],
      ]);
    },

    pairs(holder) {
      stacked(holder, rowsOf("pairs"), [
        ["stays", ink("none-bg"), ink("ink"), "none-mark"], ["case 1: confidence flips", ink("over"), ink("paper"), "over-mark"],
        ["both flip", ink("half"), ink("ink"), "half-mark"], ["case 2: quality flips", ink("under"), ink("paper"), "under-mark"],
      ]);
    },

    case1(holder) {
      const rows = rowsOf("pairs").map(({ score, values: [, v, , , none, low, high] }) => ({ score, v, null: none, low, high }));
      besideNull(holder, rows, { label: "case 1 (% of the pairs)", percent: true }, percent);
    },

    falls(holder) {
      const rows = rowsOf("falls").map(({ score, values: [v, none, low, high] }) => ({ score, v, null: none, low, high }));
      besideNull(holder, rows, { label: "largest fall of ρ" }, (v) => (v === null ? "–" : signed(v)));
    },

    lengths(holder) {
      twoDots(holder, rowsOf("lengths").map(({ score, values: [a, b] }) => ({ score, a, b })), "Spearman’s ρ with quality", ["as it is", "length removed"]);
    },

    similar(holder) {
      const rows = rowsOf("similarity").map(({ score, values: [v, , , sure] }) => ({ score, v, sure: sure === 1 }));
      byScore(holder, rows, {
        x: { label: "ρ with similarity", nice: true },
        key: [["●", "p < 0.05 (Holm)"], ["○", "not shown"]],
        title: (row) => `ρ with similarity ${signed(row.v)}${row.sure ? ", p < 0.05 (Holm)" : ""}`,
        marks: [
          Plot.ruleX([0], { stroke: ink("soft") }),
          Plot.ruleY(rows, { y: "score", x1: 0, x2: "v", stroke: (row) => colour(row.score), strokeWidth: 1.5 }),
          Plot.dot(rows, { y: "score", x: "v", r: 4.5, fill: (row) => (row.sure ? colour(row.score) : ink("paper")), stroke: (row) => colour(row.score), strokeWidth: 1.8 }),
        ],
      });
    },

    dissimilar(holder) {
      const rows = rowsOf("similarity").filter(({ values }) => values[1] !== null);
      twoDots(holder, rows.map(({ score, values: [, a, b] }) => ({ score, a, b })), "ρ with quality", ["as it is", "similarity removed"]);
    },

    // Small multiples by score: each experiment on numbers of training items is a line.
    sizes(holder) {
      const { sizes, scores } = setting();
      const pointsOf = (name, own) => own.scores.find(([score]) => score === name)?.[1] ?? [];
      const runs = (name, own) => pointsOf(name, own).flatMap(([n, ...values]) => values.map((rho) => ({ n, rho })));
      const means = (name, own) => pointsOf(name, own).filter(([, ...values]) => values.length).map(([n, ...values]) => ({ n, rho: d3.mean(values), runs: values.length }));
      const names = scores.filter((name) => sizes.some((own) => runs(name, own).length));
      const every = names.flatMap((name) => sizes.flatMap((own) => runs(name, own)));
      if (!every.length) return holder.replaceChildren(element("p", { class: "soft", text: "No correlation is defined." }));
      const [low, high] = d3.extent(every, (row) => row.rho);
      const all = d3.sort(new Set(every.map((row) => row.n)));
      const grid = element("div", { class: "multiples" });
      holder.replaceChildren(grid);
      if (sizes.length > 1) holder.prepend(legend(...sizes.map((own, k) => [["———", "– – –", "· · ·", "–·–·"][k % 4], `${own.name} each`])));
      for (const name of names) {
        const chart = element("div");
        const choose = element("button", { type: "button", text: name, title: `show ${name} everywhere`, on: { click: () => set({ score: name }) } });
        grid.append(element("div", { class: name === state.score ? "now" : undefined }, choose, chart));
        plot(chart, {
          width: width(chart), height: 122, marginLeft: 30, marginRight: 14, marginTop: 8, marginBottom: 20,
          x: { type: "log", label: null, ticks: all, tickFormat: (n) => d3.format("~s")(n), domain: [all[0] * 0.9, all.at(-1) * 1.1] },
          y: { label: null, domain: [Math.min(0, low), Math.max(0.2, high)], nice: true, ticks: 4, grid: true },
          ariaLabel: `${name} by the number of training items`,
          marks: [
            Plot.ruleY([0], { stroke: ink("soft") }),
            ...sizes.flatMap((own, k) => [
              Plot.lineY(means(name, own), { x: "n", y: "rho", stroke: colour(name), strokeWidth: 1.8, strokeDasharray: DASHES[k % 4] }),
              Plot.dot(runs(name, own), { x: "n", y: "rho", r: 2.4, stroke: colour(name), fill: k ? ink("paper") : colour(name) }),
            ]),
            tip(sizes.flatMap((own) => means(name, own).map((row) => ({ ...row, own: own.name }))), {
              x: "n", y: "rho", title: (row) => `${row.n.toLocaleString("en")} training items, ${row.own}\nρ ${number(row.rho)}, mean of ${row.runs} ${row.runs === 1 ? "run" : "runs"}`,
            }),
          ],
        });
      }
    },

    items(holder) {
      const rows = listed();
      const { before } = setting().ends[0] ?? {};
      const heads = [["order", "item"], ["quality", "quality"], ["dq", "change"], ["rank", "confidence"], ["dr", "change"]]
        .filter(([key]) => before !== null || !key.startsWith("d"));
      const head = element("tr", {}, ...heads.map(([key, words], k) => element("th", { class: k ? "n" : undefined, "aria-sort": state.sort.replace("-", "") === key ? (state.sort[0] === "-" ? "descending" : "ascending") : undefined },
        element("button", { type: "button", text: words, on: { click: () => set({ sort: state.sort === key ? `-${key}` : key, shown: 60 }) } }))));
      const body = rows.slice(0, state.shown).map((row) => element("tr", { class: row.id === state.item ? "now" : undefined },
        element("td", {}, element("button", { type: "button", "data-item": row.id, on: { click: () => open(row.id) } },
          element("code", { text: row.id }), row.now ? element("span", { class: `truth t-${row.now === "right" ? "good" : "bad"}`, text: ` ${row.now === "right" ? "✓" : "✗"}` }) : null,
          element("span", { class: "snippet", dir: "auto", text: row.output.slice(0, 120) || "(empty)" }))),
        element("td", { class: "n", text: number(row.q1) }),
        ...(before === null ? [] : [element("td", { class: "n", text: signed(row.dq) })]),
        element("td", { class: "n", text: percent(row.r1) }),
        ...(before === null ? [] : [element("td", { class: "n", text: Number.isNaN(row.dr) ? "–" : signed(100 * row.dr, 0) })])));
      const more = rows.length > state.shown
        ? element("button", { type: "button", class: "more", text: `show more of ${rows.length.toLocaleString("en")}`, on: { click: () => set({ shown: state.shown + 200 }) } }) : null;
      holder.replaceChildren(...[element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)), more].filter(Boolean));
      const { total, ids } = setting();
      const sample = total > ids.length ? ` This page holds an even sample of ${ids.length.toLocaleString("en")} of ${total.toLocaleString("en")} items.` : "";
      $("#found").textContent = `${rows.length.toLocaleString("en")} of ${ids.length.toLocaleString("en")} items; confidence by ${state.score}, as the share of items below.${sample}`;
    },

    item(holder) {
      const one = setting();
      const i = one.ids.indexOf(state.item);
      if (i < 0) return holder.replaceChildren(element("div", { class: "card soft", text: "Open an item of the list, or click a dot above: its input, references, and its output and every score at each checkpoint." }));
      const end = one.ends[Math.min(state.run, one.ends.length - 1)];
      const points = one.checkpoints.filter((point) => point.seed === end.seed);
      const quote = (words) => element("blockquote", { dir: "auto", text: words || "(empty)" });
      const at = element("div");
      const input = text(one.inputs[i]);
      const parts = [
        element("div", {}, element("strong", { text: "item " }), element("code", { text: one.ids[i] }),
          " ", element("a", { href: hash(), class: "small", text: "link" })),
      ];
      if (input !== null) parts.push(element("div", { class: "h", text: "Input" }), quote(input));
      const references = one.references[i].map(text).filter((t) => t !== null);
      if (references.length) parts.push(element("div", { class: "h", text: references.length > 1 ? "References" : "Reference" }), ...references.map(quote));
      let last = null;
      for (const point of points) {
        const output = text(point.output[i]);
        const truth = judged(point, i);
        const name = point.name.startsWith("epoch") || point.epoch === 0 ? point.name : `${point.name}, epoch ${point.epoch}`;
        at.append(element("div", { class: "h" }, name[0].toUpperCase() + name.slice(1) + ` · quality ${number(point.quality[i])} · confidence above ${percent(rank(point, state.score, i))}`,
          truth ? element("span", { class: `truth t-${truth === "right" ? "good" : "bad"}`, text: truth === "right" ? " ✓ right" : " ✗ wrong" }) : null));
        if (output === null) at.append(element("div", { class: "small soft", text: "The output is not known." }));
        else if (output === last) at.append(element("div", { class: "small soft", text: "the same output" }));
        else at.append(quote(output));
        last = output;
      }
      const few = points.length > 12 ? points.filter((_, k) => k % Math.ceil(points.length / 12) === 0 || k === points.length - 1) : points;
      const ranks = element("table", { class: "ranks small" },
        element("caption", { text: "Confidence as rank: above how many per cent of the items, by epoch" }),
        element("thead", {}, element("tr", {}, element("th", { text: "score" }), ...few.map((point) => element("th", { class: "n", text: `${point.epoch}` })))),
        element("tbody", {}, ...one.scores.map((name) => element("tr", {}, element("td", {}, element("code", { text: name })),
          ...few.map((point) => { const r = rank(point, name, i); return element("td", { class: "n", text: r === null ? "–" : `${Math.round(100 * r)}` }); })))));
      holder.replaceChildren(element("div", { class: "card", tabindex: "-1" }, ...parts, at, element("div", { class: "scroll" }, ranks)));
    },

    // What review gains, and what an old threshold does.
    review(holder) {
      const one = setting();
      const curve = of(one.review, state.score);
      const said = $("#review-said");
      if (!curve) {
        said.textContent = "No answer has both a quality and this score at the checkpoints compared.";
        return holder.replaceChildren();
      }
      const k = Math.min(state.share, 100);
      const wrong = curve.found !== undefined;
      const everyone = curve.after[0];
      const value = (v) => (wrong ? percent(v) : number(v));
      const words = [`Review the least confident ${k} % by ${state.score}, after fine-tuning, on all test items:`];
      if (wrong) words.push(`that finds ${percent(curve.found[k])} of the wrong answers (chance: ${k} %);`);
      if (curve.after[k] !== null) {
        const what = wrong ? "of the rest" : "the mean quality of the rest is";
        words.push(`${what} ${value(curve.after[k])}${wrong ? " are right" : ""} instead of ${value(everyone)} (${value(curve.oracle[k])} if quality itself chose).`);
      } else words.push("nothing is left.");
      if (curve.sent) {
        words.push(`The old threshold, which sent ${k} % before fine-tuning, sends ${percent(curve.sent[k])} now`
          + (curve.found_old && curve.found_before ? ` and finds ${percent(curve.found_old[k])} of the wrong answers (before: ${percent(curve.found_before[k])}).` : "."));
      }
      said.textContent = words.join(" ");
      const lines = [["after", "after fine-tuning", colour(state.score), ""], ["before", "before fine-tuning", ink("soft"), "5,3"], ["oracle", "if quality itself chose", ink("good"), "1,3"]];
      const rows = lines.filter(([key]) => curve[key]).flatMap(([key, label, stroke, dashes]) =>
        curve[key].map((v, share) => ({ share, v, label, stroke, dashes })).filter((row) => row.v !== null && row.share <= 95));
      const ends = d3.groups(rows, (r) => r.label).map(([, own]) => own[Math.min(own.length - 1, 70)]);
      const w = Math.min(width(holder), 640);
      plot(holder, {
        width: w, height: 280, marginLeft: 44, marginRight: 20,
        x: { label: w < 480 ? "share reviewed (%) →" : "share of the answers reviewed, least confident first (%) →", labelAnchor: "center", domain: [0, 95] },
        y: { label: wrong ? "↑ share right among the rest" : "↑ mean quality of the rest", grid: true, nice: true },
        marks: [
          Plot.ruleY([everyone], { stroke: ink("line") }),
          Plot.ruleX([k], { stroke: ink("link") }),
          ...d3.groups(rows, (r) => r.label).map(([, own]) => Plot.lineY(own, { x: "share", y: "v", stroke: own[0].stroke, strokeWidth: 2, strokeDasharray: own[0].dashes || undefined })),
          Plot.text(ends, { x: "share", y: "v", text: "label", fill: ink("ink"), dy: -8, fontWeight: 600, stroke: ink("paper"), strokeWidth: 4 }),
          Plot.tip(rows, Plot.pointerX({ x: "share", y: "v", fill: ink("paper"), stroke: ink("line"), title: (r) => `${r.label}\n${r.share} % reviewed: ${value(r.v)}` })),
        ],
      });
    },

    reliability(holder) {
      const one = setting();
      const run = one.ends[Math.min(state.run, one.ends.length - 1)]?.seed;
      const own = one.reliability.filter((row) => row.score === state.score);
      const found = own.find((row) => row.seed === run) ?? own[0];
      holder.nextElementSibling.hidden = !found;
      if (!found) {
        const others = [...new Set(one.reliability.map((row) => row.score))];
        const words = others.length ? `Percentages of ${state.score} are not shown. They are for: ${others.join(", ")}.` : "No percentages: they need answers judged right or wrong on validation items.";
        return holder.replaceChildren(element("p", { class: "soft", text: words }));
      }
      const grid = element("div", { class: "multiples" });
      holder.replaceChildren(grid);
      for (const stage of found.stages) {
        const chart = element("div");
        grid.append(element("div", {}, element("div", { class: "h", text: stage.name }), chart));
        if (!stage.bins.length) {
          chart.append(element("p", { class: "small soft", text: stage.reason || "no percentages" }));
          continue;
        }
        const bins = stage.bins.map(([stated, right, low, high, n]) => ({ stated, right, low, high, n }));
        plot(chart, {
          width: width(chart), height: 210, marginLeft: 34,
          x: { label: "stated chance", domain: [0, 1], percent: false, ticks: [0, 0.5, 1], tickFormat: percent, labelAnchor: "center" },
          y: { label: "share right", domain: [0, 1], ticks: [0, 0.5, 1], tickFormat: percent, grid: true },
          marks: [
            Plot.line([[0, 0], [1, 1]], { stroke: ink("soft"), strokeDasharray: "3,3" }),
            Plot.ruleX(bins, { x: "stated", y1: "low", y2: "high", stroke: colour(state.score), strokeOpacity: 0.6 }),
            Plot.dot(bins, { x: "stated", y: "right", r: 4, fill: colour(state.score) }),
            tip(bins, { x: "stated", y: "right", title: (b) => `told ${percent(b.stated)}, right ${percent(b.right)} [${percent(b.low)}, ${percent(b.high)}]\n${b.n} answers` }),
          ],
        });
        chart.append(element("div", { class: "small soft", text: `off by ${percent(stage.ece)} on average; chance alone gives ${percent(stage.by_chance)}` }));
      }
    },
  };

  const FILTERS = {
    all: () => true,
    over: (r) => r.dr > 0 && r.dq < 0, under: (r) => r.dr < 0 && r.dq > 0,
    worse: (r) => r.dq < 0, better: (r) => r.dq > 0, same: (r) => r.dq === 0,
    broke: (r) => r.was === "right" && r.now === "wrong", mended: (r) => r.was === "wrong" && r.now === "right",
    wrong: (r) => r.now === "wrong", right: (r) => r.now === "right",
    "sure-wrong": (r) => r.now === "wrong" && r.r1 >= 0.8,
  };
  const SORTS = { order: (r) => r.i, quality: (r) => r.q1, dq: (r) => r.dq, rank: (r) => r.r1 ?? NaN, dr: (r) => r.dr };

  function listed() {
    const one = setting();
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = items().filter((row) => {
      if (!FILTERS[state.filter](row)) return false;
      if (!words.length) return true;
      const hay = [row.id, row.output, text(one.inputs[row.i]) ?? "", ...one.references[row.i].map((t) => text(t) ?? "")].join("\n").toLowerCase();
      return words.every((word) => hay.includes(word));
    });
    const descending = state.sort.startsWith("-");
    const by = SORTS[state.sort.replace("-", "")];
    const value = (row) => { const v = by(row); return Number.isNaN(v) ? Infinity : descending ? -v : v; };
    return d3.sort(rows, value);
  }

  // State → page.
  const hash = () => `#${new URLSearchParams({ ...(data.settings.length > 1 ? { of: state.of } : {}), ...(state.run ? { run: state.run } : {}), score: state.score, ...(state.item === null ? {} : { item: state.item }) })}`;

  // What has to be drawn again where nothing else has changed.
  const TOUCHED = new Map([...["search", "filter", "sort", "shown"].map((key) => [key, ["items"]]), ["item", ["moves", "items", "item"]], ["share", ["review"]], ["axes", ["moves"]]]);

  function set(changes, { keep = true } = {}) {
    if ("of" in changes && changes.of !== state.of) changes = { run: 0, score: null, item: null, shown: 60, ...changes };
    Object.assign(state, changes);
    if (!setting().scores.includes(state.score)) state.score = setting().scores[0] ?? "";
    if (keep && ["of", "score", "run", "item"].some((key) => key in changes)) history.replaceState(null, "", hash());
    const keys = Object.keys(changes);
    show(keys.every((key) => TOUCHED.has(key)) ? keys.flatMap((key) => TOUCHED.get(key)) : undefined);
  }

  function open(id) {
    set({ item: id });
    const card = $("#item .card");
    card?.scrollIntoView({ block: "nearest" });
    card?.focus({ preventScroll: true });
  }

  function show(names = Object.keys(draw)) {
    const one = setting();
    for (const block of all("[data-of]")) block.hidden = !block.dataset.of.split(" ").includes(`${state.of}`);
    for (const link of all("[data-setting]")) link.classList.toggle("now", +link.dataset.setting === state.of);
    const options = (select, values, now) => {
      select.replaceChildren(...values.map(([value, words]) => element("option", { value, text: words })));
      select.value = now;
      select.parentElement.hidden = values.length < 2;
    };
    options($("#of"), data.settings.map((s, k) => [`${k}`, s.name]), `${state.of}`);
    options($("#score"), one.scores.map((name) => [name, name]), state.score);
    options($("#run"), one.ends.map((end, k) => [`${k}`, `seed ${end.seed}`]), `${Math.min(state.run, one.ends.length - 1)}`);
    const known = one.checkpoints.some((point) => point.correct.some((c) => c < 2));
    for (const option of all("#filter option[data-judged]")) option.hidden = option.disabled = !known;
    if ($("#sort").value !== state.sort) $("#sort").value = state.sort;
    for (const lead of all("[data-about]")) lead.classList.toggle("other", lead.dataset.about !== state.score);
    for (const holder of all("[data-draw]")) {
      if (holder.closest("[hidden]") || !names.includes(holder.dataset.draw)) continue;
      draw[holder.dataset.draw](holder);
    }
  }

  function follow() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    if (!["of", "item", "score", "run"].some((key) => wanted.has(key))) return false;
    const whole = (key, most) => Math.min(Math.max(0, Number.parseInt(wanted.get(key) ?? "0", 10) || 0), most);
    set({ of: whole("of", data.settings.length - 1), run: whole("run", 1e6), score: wanted.get("score"), item: wanted.get("item") }, { keep: false });
    if (wanted.has("item")) {
      $(".list tr.now")?.scrollIntoView({ block: "center" });
      $("#items").scrollIntoView();
    }
    return true;
  }

  $("#of").addEventListener("change", (event) => set({ of: +event.target.value }));
  $("#score").addEventListener("change", (event) => set({ score: event.target.value }));
  $("#run").addEventListener("change", (event) => set({ run: +event.target.value }));
  $("#axes").addEventListener("change", (event) => set({ axes: event.target.value }));
  $("#search").addEventListener("input", (event) => set({ search: event.target.value, shown: 60 }));
  $("#filter").addEventListener("change", (event) => set({ filter: event.target.value, shown: 60 }));
  $("#sort").addEventListener("change", (event) => set({ sort: event.target.value, shown: 60 }));
  $("#share").addEventListener("input", (event) => {
    set({ share: +event.target.value });
    $("#share-said").textContent = `${state.share} %`;
  });
  for (const link of all("a[data-setting]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); set({ of: +link.dataset.setting }); });
  }
  dark.addEventListener("change", () => show());
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => { for (const fold of all("details:not([open])")) Object.assign(fold, { open: true }).dataset.folded = ""; });
  addEventListener("afterprint", () => { for (const fold of all("details[data-folded]")) { fold.open = false; delete fold.dataset.folded; } });
  addEventListener("resize", (() => { let timer; return () => { clearTimeout(timer); timer = setTimeout(() => show(), 150); }; })());
  state.of = +$("#first").dataset.start;
  state.score = setting().scores[0] ?? "";
  if (!follow()) show();
  document.documentElement.dataset.drawn = "yes";
})();
