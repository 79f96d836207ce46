/* SPDX-License-Identifier: Apache-2.0 */
/* The page: figures, operator table, charts, threads, experts, recording. */
"use strict";
const runs = JSON.parse(document.getElementById("data").textContent);
const run = runs[0], other = runs[1];
const $ = (s, in_ = document) => in_.querySelector(s);
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (k in e && k !== "list") e[k] = v; else e.setAttribute(k, v);
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}
function fmt(v, digits = 3) {
  if (v === null || v === undefined || !isFinite(v)) return "-";
  if (Number.isInteger(v) && Math.abs(v) < 1e6) return v.toLocaleString("en");
  const units = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]];
  for (const [u, s] of units) if (Math.abs(v) >= u) return (v / u).toPrecision(digits) + s;
  return v.toPrecision(digits);
}
function fmtNs(v) {
  if (v === null || v === undefined || !isFinite(v)) return "-";
  for (const [u, s] of [[1e9, "s"], [1e6, "ms"], [1e3, "us"]]) if (Math.abs(v) >= u) return (v / u).toPrecision(4) + " " + s;
  return Math.round(v) + " ns";
}
const fmtShare = v => isFinite(v) ? (100 * v).toFixed(1) + " %" : "-";
const missing = text => el("p", {className: "missing", textContent: text});

/* Units of the figures to text. */
function fmtUnit(v, unit) {
  if (v === null || !isFinite(v)) return "-";
  return unit === "ns" ? fmtNs(v) : unit === "%" ? fmtShare(v) : fmt(v) + (unit ? " " + unit : "");
}
/* Name, title, unit, which way is better, value: as in report and diff. */
const tiles = ["prefill_tokens_per_s", "ttft", "tokens_per_s", "tpot_p50", "tpot_p95", "tpot_p99", "decode_mbu", "prefill_mfu", "decode_wait_share", "decode_runnable_share", "cost_share", "lost"];
const known = v => v !== null && isFinite(v);
function showFigures() {
  if (other) $("#h-figures").textContent += ` of ${run.name}`;
  const box = $("#figures .tiles"), figures = new Map(run.figures.map(f => [f[0], f]));
  for (const name of tiles) {
    const f = figures.get(name);
    if (f && known(f[4])) box.append(el("div", {className: "tile"}, el("b", {textContent: fmtUnit(f[4], f[2])}), el("span", {textContent: f[1]})));
  }
  for (const p of run.phases) box.append(el("div", {className: "tile"}, el("b", {textContent: `${fmt(p.calls)} / ${fmt(p.tokens)}`}), el("span", {textContent: `${p.phase}: calls / tokens`})));
  if (!run.phases.length) box.append(missing("The token level was not recorded: no calls to time."));
}
/* What diff says of each figure: its tests, not the size of a change, tell better from worse. */
const verdicts = JSON.parse(document.getElementById("verdicts").textContent)[0]?.figures ?? {};
function changeCell(name, a, b) {
  const change = known(a) && known(b) && a !== 0 ? b / a - 1 : NaN, verdict = verdicts[name]?.verdict ?? "";
  if (!isFinite(change)) return el("td", {textContent: "-"});
  const mark = verdict === "better" || verdict === "worse" ? verdict : "unsure";
  return el("td", {className: mark, textContent: (change >= 0 ? "+" : "") + (100 * change).toFixed(1) + " % " + verdict});
}
function showDiff() {
  if (!other) return;
  $("#diff").hidden = false;
  const second = new Map(other.figures.map(f => [f[0], f[4]])), body = el("tbody");
  for (const [name, title, unit, , value] of run.figures) {
    const b = second.get(name);
    if (!known(value) && !known(b)) continue;
    body.append(el("tr", {}, el("th", {scope: "row", textContent: title}), el("td", {textContent: fmtUnit(value, unit)}), el("td", {textContent: fmtUnit(b, unit)}), changeCell(name, value, b)));
  }
  const head = ["figure", run.name, other.name, "change"].map(h => el("th", {scope: "col", textContent: h}));
  $("#diff .table").append(el("table", {}, el("thead", {}, el("tr", {}, ...head)), body));
  if (!$("#diff pre").textContent.trim()) $("#diff pre").remove();
}

/* Operator rows: name, op, type, layer, phase, compute, wait, count, flops, bytes, time, class, and what
   was counted, by counter. */
const O = {name: 0, op: 1, type: 2, layer: 3, phase: 4, compute: 5, wait: 6, count: 7, flops: 8, bytes: 9, time: 10, class: 11, counted: 12};
const counterNames = run.counter_names.map(n => n[0]);
for (const r of runs) {
  const key = row => row.slice(0, 5).join("\t"), rows = new Map(r.operators.map(o => [key(o), o]));
  for (const o of r.operators) o[O.counted] = {};
  for (const c of r.counters) { const o = rows.get(key(c)); if (o) o[O.counted][c[5]] = c[6]; }
}
function grouped(r, state) {
  const groups = new Map(), words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const o of r.operators) {
    if (state.phase && o[O.phase] !== state.phase || state.class && o[O.class] !== state.class) continue;
    if (words.length) { const hay = `${o[O.name]} ${o[O.op]} ${o[O.type]}`.toLowerCase(); if (!words.every(w => hay.includes(w))) continue; }
    const key = String(o[O[state.group]] ?? "none");
    let g = groups.get(key);
    if (!g) groups.set(key, g = {key, compute: 0, wait: 0, count: 0, flops: 0, bytes: 0, busy: 0, counted: {}});
    g.compute += o[O.compute]; g.wait += o[O.wait] || 0; g.count += o[O.count]; g.flops += o[O.flops] || 0; g.bytes += o[O.bytes] || 0; g.busy += o[O.time] * o[O.count];
    for (const [name, v] of Object.entries(o[O.counted])) g.counted[name] = (g.counted[name] || 0) + v;
  }
  return groups;
}
const columns = [
  ["key", "", g => g.key, v => v], ["share", "share", g => g.share, fmtShare], ["compute", "compute, all threads", g => g.compute, fmtNs],
  ["count", "executions", g => g.count, fmt], ["mean", "mean, slowest thread", g => g.busy / g.count, fmtNs], ["wait", "barrier wait", g => g.wait, fmtNs],
  ["gflops", "GFLOP/s", g => g.flops > 0 ? g.flops / g.busy : NaN, fmt], ["gbs", "GB/s", g => g.bytes > 0 ? g.bytes / g.busy : NaN, fmt]];
for (const name of counterNames) columns.push([`counter ${name}`, `${name} each`, g => g.counted[name] / g.count, fmt]);
for (const [title, above, below, percent] of run.ratios) {
  const counted = list => list.split(",").find(n => counterNames.some(c => c.toLowerCase() === n)), a = counted(above), b = counted(below);
  const of = (g, name) => g.counted[counterNames.find(c => c.toLowerCase() === name)];
  if (a && b) columns.push([`ratio ${title}`, title, g => of(g, a) / of(g, b), percent ? fmtShare : fmt]);
}
if (other) columns.push(["change", "mean in the second run", g => g.change, v => isFinite(v) ? (v >= 0 ? "+" : "") + (100 * v).toFixed(1) + " %" : "-"]);
const state = {text: "", phase: "", class: "", group: "op", sort: "compute", up: false, shown: 100};
function showTable() {
  const groups = [...grouped(run, state).values()], total = groups.reduce((s, g) => s + g.compute, 0), column = columns.find(c => c[0] === state.sort);
  const second = other ? grouped(other, state) : null;
  for (const g of groups) {
    g.share = total > 0 ? g.compute / total : 0;
    const b = second && second.get(g.key);
    g.change = b ? b.busy / b.count / (g.busy / g.count) - 1 : NaN;
  }
  const order = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", {numeric: true}) : (isFinite(b) ? b : -1) - (isFinite(a) ? a : -1);
  groups.sort((a, b) => (state.up ? -1 : 1) * order(column[2](a), column[2](b)));
  const head = el("tr");
  for (const [key, title] of columns) {
    const b = el("button", {type: "button", textContent: (title || state.group) + (state.sort === key ? (state.up ? " \u25b2" : " \u25bc") : "")});
    b.addEventListener("click", () => { state.up = state.sort === key ? !state.up : false; state.sort = key; showTable(); $(`#operators thead th[data-key="${key}"] button`).focus(); });
    head.append(el("th", {scope: "col", "data-key": key, "aria-sort": state.sort === key ? (state.up ? "ascending" : "descending") : "none"}, b));
  }
  head.append(el("th", {scope: "col"}, el("button", {type: "button", disabled: true, textContent: "of the time"})));
  $("#operators thead").replaceChildren(head);
  $("#operators tbody").replaceChildren(...groups.slice(0, state.shown).map(g => el("tr", {},
    ...columns.map(([key, , get, f]) => el("td", {textContent: f(get(g)), title: key === "key" ? g.key : "", className: key === "key" ? "text" : ""})),
    el("td", {className: "bar"}, el("i", {style: `width:${(100 * g.share).toFixed(1)}%`})))));
  $("#operators .count").textContent = `${groups.length} rows, ${fmtNs(total)} of compute`;
  $("#operators .more").hidden = groups.length <= state.shown;
}
function operators() {
  const form = $("#operators form"), fill = (s, values) => s.append(el("option", {value: "", textContent: "all"}), ...values.map(v => el("option", {value: v, textContent: v || "none"})));
  if (!run.operators.length) { form.remove(); $("#operators .scroll").replaceWith(missing("The operator level was not recorded.")); return; }
  fill(form.elements.phase, [...new Set(run.operators.map(o => o[O.phase]))].filter(Boolean));
  fill(form.elements.class, [...new Set(run.operators.map(o => o[O.class]))]);
  let timer = 0;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => {
    state.text = form.elements.text.value; state.phase = form.elements.phase.value; state.class = form.elements.class.value; state.group = form.elements.group.value; state.shown = 100;
    showTable(); }, 60); });
  $("#operators .more").addEventListener("click", () => { state.shown += 500; showTable(); });
  showTable();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const palette = ["#3b78c9", "#d1495b", "#2e9d5b", "#b9770e", "#8e44ad", "#17a2a2", "#7f8c8d"];
const plots = [];
/* A chart's values as a table, for those who cannot see it; long ones thinned out. */
function valuesOf(data, series, axes) {
  const details = el("details", {}, el("summary", {textContent: "Values"})), n = data[0].length, step = Math.max(1, Math.ceil(n / 40));
  details.addEventListener("toggle", () => {
    if (details.children.length > 1) return;
    const rows = data[0].map((x, i) => i).filter(i => i % step === 0).map(i => el("tr", {}, el("th", {scope: "row", textContent: axes[0][1](data[0][i])}), ...data.slice(1).map(d => el("td", {textContent: axes[1][1](d[i])}))));
    details.append(el("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": "Values of the chart"}, el("table", {}, el("thead", {}, el("tr", {}, ...[axes[0][0], ...series].map(h => el("th", {scope: "col", textContent: h})))), el("tbody", {}, ...rows))));
  });
  return details;
}
/* `named`: what each point is, said below the chart where the pointer is. */
function chart(title, note, data, series, axes, points, named) {
  const box = el("div", {className: "chart"}, el("h3", {textContent: title})), host = el("div");
  const said = el("p", {textContent: note});
  box.append(host, said);
  $("#charts .charts").append(box);
  const ink = () => dark.matches ? "#c8cdd6" : "#333", grid = () => ({stroke: dark.matches ? "#333943" : "#e2e5ea"});
  const plot = new uPlot({
    width: Math.max(box.clientWidth - 20, 300), height: 260, scales: {x: {time: false}},
    series: [{label: axes[0][0], value: (u, v) => axes[0][1](v)}].concat(series.map((name, i) => ({label: name, stroke: palette[i % palette.length], width: points && i === 0 ? 0 : 1.5,
      points: points && i === 0 ? {show: true, size: 5, fill: palette[i % palette.length]} : {show: false}, paths: points && i === 0 ? () => null : undefined, value: (u, v) => axes[1][1](v)}))),
    axes: axes.map(([label, f], i) => ({label, labelSize: 18, stroke: ink, grid: {stroke: () => grid().stroke}, ticks: {stroke: () => grid().stroke}, size: i ? 74 : 40, values: (u, v) => v.map(x => x === null ? "" : f(x))})),
    hooks: named ? {setCursor: [u => { const i = u.cursor.idx; said.textContent = i === null || i === undefined ? note : `${named[i]}: ${axes[0][1](data[0][i])} in ${axes[1][1](data[1][i])}`; }]} : {},
  }, data, host);
  plots.push([plot, box]);
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", `${title}. ${note}`);
  box.append(valuesOf(data, series, axes));
  /* In the next frame: resizing inside the observer would make it run again at once. */
  new ResizeObserver(() => requestAnimationFrame(() => { const w = Math.max(box.clientWidth - 20, 300); if (Math.abs(w - plot.width) > 2) plot.setSize({width: w, height: 260}); })).observe(box);
}
dark.addEventListener("change", () => plots.forEach(([p]) => p.redraw(false, true)));
/* The line of least squares, and how far off it the values lie as a rule. */
function fitLine(x, y) {
  const n = x.length, mx = x.reduce((a, b) => a + b, 0) / n, my = y.reduce((a, b) => a + b, 0) / n;
  let num = 0, den = 0;
  for (let i = 0; i < n; i++) { num += (x[i] - mx) * (y[i] - my); den += (x[i] - mx) ** 2; }
  const slope = den ? num / den : 0, at = v => my + slope * (v - mx);
  return {slope, at, sigma: Math.sqrt(y.reduce((sum, v, i) => sum + (v - at(x[i])) ** 2, 0) / n)};
}
const slope = (x, y) => fitLine(x, y).slope;
/* Time against arithmetic of the matrix products of a phase; those far above the line are named. */
function products(phase, rows) {
  const x = rows.map(m => m[0]), y = rows.map(m => m[1]), fit = fitLine(x, y);
  const slow = rows.filter((m, i) => y[i] - fit.at(x[i]) > 2 * fit.sigma).sort((a, b) => b[1] - fit.at(b[0]) - a[1] + fit.at(a[0]));
  const names = slow.slice(0, 5).map(m => m[2]).join(", ") + (slow.length > 5 ? ` and ${slow.length - 5} more` : "");
  const line = fit.slope > 0 ? `the line is ${(1 / fit.slope).toPrecision(3)} GFLOP/s` : "the line does not rise";
  chart(`Matrix products, ${phase || "all"}: arithmetic against time`, `${rows.length} products; ${line}. ` + (slow.length ? `Slower than their arithmetic explains: ${names}.` : "None lies far above it."),
    [x, y, x.map(fit.at)], ["time", "fit"], [["FLOP per execution", fmt], ["time", fmtNs]], true, rows.map(m => m[2]));
}
function charts() {
  const out = $("#charts .charts");
  if (run.steps.length > 1) {
    const x = run.steps.map(s => s[0]), used = run.classes.map((c, i) => i).filter(i => run.steps.some(s => s[2 + i] > 0));
    const data = [x, run.steps.map(s => s[1]), ...used.map(i => run.steps.map(s => s[2 + i]))], names = ["whole step", ...used.map(i => run.classes[i])];
    const grows = used.map(i => [run.classes[i], slope(x, run.steps.map(s => s[2 + i]))]).filter(g => g[1] * run.decodes > 0.01 * run.steps[0][1]).sort((a, b) => b[1] - a[1])[0];
    chart("Time per decode step", grows ? `Grows most: ${grows[0]}, ${fmtNs(grows[1] * 100)} per 100 steps.` : `${run.decodes} steps.`, data, names, [["step", fmt], ["time", fmtNs]]);
    const p = run.phases.find(k => k.phase === "decode"), q = other && other.phases.find(k => k.phase === "decode");
    const shares = p.percentiles.map((v, i) => i / 2);
    chart("Time per output token by percentile", "Part of the decode steps (x, in %) that took no longer than the time (y).", q ? [shares, p.percentiles, q.percentiles] : [shares, p.percentiles],
      q ? [run.name, other.name] : ["TPOT"], [["percentile", v => fmt(v)], ["time", fmtNs]]);
  }
  for (const phase of [...new Set(run.matmuls.map(m => m[3]))]) {
    products(phase, run.matmuls.filter(m => m[3] === phase));
  }
  if (!out.children.length) out.append(missing("Charts need the token level with decode steps, or the operator level."));
}
function threads() {
  const body = $("#threads .body");
  if (!run.threads.length) body.append(missing("The operator level was not recorded: no compute and wait per thread."));
  else {
    const longest = Math.max(...run.threads.map(t => t[3] + (t[4] || 0))), rows = el("tbody");
    for (const [tid, name, index, compute, wait, count] of run.threads) rows.append(el("tr", {}, el("th", {scope: "row", textContent: `${index}: ${name || "thread"} ${tid}`}),
      el("td", {textContent: fmtNs(compute)}), el("td", {textContent: fmtNs(wait)}), el("td", {textContent: fmtShare(wait / (compute + wait))}), el("td", {textContent: fmt(count)}),
      el("td", {}, el("div", {className: "stack"}, el("i", {style: `width:${100 * compute / longest}%;background:#3b78c9`}), el("i", {style: `width:${100 * wait / longest}%;background:#b0b6bf`})))));
    body.append(el("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of threads"}, el("table", {}, el("thead", {}, el("tr", {}, ...["worker", "compute", "barrier wait", "wait share", "operators", "compute and wait"].map(h => el("th", {scope: "col"}, el("button", {type: "button", disabled: true, textContent: h}))))), rows)));
  }
  if (run.sched.length) {
    const by = new Map(), states = [...new Set(run.sched.map(s => s[2]))].sort();
    for (const [tid, name, st, ns] of run.sched) { if (!by.has(tid)) by.set(tid, {name, ns: {}}); by.get(tid).ns[st] = ns; }
    const rows = el("tbody", {}, ...[...by].map(([tid, t]) => el("tr", {}, el("th", {scope: "row", textContent: `${t.name || "thread"} ${tid}`}), ...states.map(s => el("td", {textContent: fmtNs(t.ns[s] || 0)})))));
    body.append(el("h3", {textContent: "Scheduler"}), el("table", {}, el("thead", {}, el("tr", {}, el("th", {scope: "col", textContent: "thread"}), ...states.map(s => el("th", {scope: "col", textContent: s})))), rows));
    if (run.culprits.length) body.append(el("p", {textContent: "Had the CPU while a thread of the target waited for one: " + run.culprits.map(c => `${c[0]} ${fmtNs(c[1])} (${c[2]} times)`).join(", ") + "."}));
  } else body.append(missing("The scheduler level was not recorded."));
}
function heat(title, rowNames, columnsN, value, describe) {
  const cell = Math.max(5, Math.min(16, Math.floor(1100 / columnsN))), canvas = el("canvas", {tabIndex: 0}), readout = el("p", {className: "readout", role: "status"});
  let max = 0;
  for (let r = 0; r < rowNames.length; r++) for (let c = 0; c < columnsN; c++) max = Math.max(max, value(r, c));
  canvas.width = columnsN * cell; canvas.height = rowNames.length * cell;
  canvas.style.width = canvas.width + "px"; canvas.style.maxWidth = "100%";
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `${title}; most uses of one cell: ${max}`);
  const g = canvas.getContext("2d"), empty = "#8883";
  for (let r = 0; r < rowNames.length; r++) for (let c = 0; c < columnsN; c++) {
    /* Logarithmic: the call of a prompt has many more uses than that of one token. */
    const v = max ? Math.log1p(value(r, c)) / Math.log1p(max) : 0;
    g.fillStyle = v ? `hsl(${215 - 15 * v} 75% ${78 - 52 * v}%)` : empty;
    g.fillRect(c * cell, r * cell, cell - (cell > 6 ? 1 : 0), cell - (cell > 6 ? 1 : 0));
  }
  /* The same with the arrow keys, for those who cannot point. */
  let at = {r: 0, c: -1};
  canvas.addEventListener("keydown", e => {
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[e.key];
    if (!step) return;
    at = {r: Math.min(Math.max(at.r + step[0], 0), rowNames.length - 1), c: Math.min(Math.max(at.c + step[1], 0), columnsN - 1)};
    readout.textContent = describe(at.r, at.c, value(at.r, at.c));
    e.preventDefault();
  });
  canvas.addEventListener("pointermove", e => {
    const c = Math.floor(e.offsetX / canvas.clientWidth * columnsN), r = Math.floor(e.offsetY / canvas.clientHeight * rowNames.length);
    if (r >= 0 && r < rowNames.length && c >= 0 && c < columnsN) readout.textContent = describe(r, c, value(r, c));
  });
  $("#experts .body").append(el("h3", {textContent: title}), el("div", {style: "overflow-x:auto"}, canvas), readout);
}
function experts() {
  const body = $("#experts .body"), n = run.n_experts;
  if (!n) { body.append(missing("No experts were recorded: the model has none, or the operator level was off.")); $("#experts pre").remove(); return; }
  const layers = [...new Set(run.expert_layers.map(e => e[0]))], uses = layers.map(() => new Array(n).fill(0));
  for (const [layer, expert, count] of run.expert_layers) uses[layers.indexOf(layer)][expert] += count;
  const f = run.expert_figures;
  if (f) body.append(el("p", {textContent: `${fmt(f.used)} of ${fmt(f.all)} experts (those of all layers together) were used, ${fmt(f.uses)} uses in all; the hottest ${f.skew.toFixed(1)} times as often as the mean of those used.`}));
  heat("Uses by layer (down) and expert (across)", layers, n, (r, c) => uses[r][c], (r, c, v) => `layer ${layers[r]}, expert ${c}: ${v} uses`);
  const columns = run.expert_time.length ? run.expert_time[0].length : 0, each = Math.ceil(run.expert_calls / Math.max(columns, 1));
  if (columns) heat(`Uses by expert (down) and call (across${each > 1 ? `, some ${each} each` : ""}), all layers`, run.expert_time.map((e, i) => i), columns, (r, c) => run.expert_time[r][c] || 0,
    (r, c, v) => `expert ${r}, ${each > 1 ? `calls from ${Math.floor(c * run.expert_calls / columns) + 1} on` : `call ${c + 1}`}: ${v} uses`);
}
function recording() {
  const body = $("#recording .body"), table = (head, rows) => el("table", {}, el("thead", {}, el("tr", {}, ...head.map(h => el("th", {scope: "col", className: "text", textContent: h})))),
    el("tbody", {}, ...rows.map(r => el("tr", {}, ...r.map(c => el("td", {className: "text", textContent: c}))))));
  for (const r of runs) {
    if (other) body.append(el("h3", {textContent: r.name}));
    body.append(table(["key", "value"], r.info));
    body.append(el("p", {textContent: r.loss.some(l => l[2] > 0) ? "Lost: " + r.loss.filter(l => l[2] > 0).map(l => `${l[2]} of ${l[0]} (${l[1]})`).join(", ") + "." : "No record was lost."}));
    if (r.cost.length) body.append(table(["level", "probe hits", "cost", "share of one CPU"], r.cost.map(c => [c[0], fmt(c[1]), fmtNs(c[2]), fmtShare(c[2] / c[3])])));
    if (r.notes.length) body.append(table(["time", "kind", "note"], r.notes.map(n => [fmtNs(n[0] - r.timeline.begin), n[1], n[2]])));
  }
}
/* The report's marks in colour; the words stay, for those who see none. */
function markReport(pre) {
  const kinds = {BAD: "worse", WARN: "warn", ok: "better", note: "unsure"};
  pre.replaceChildren(...pre.textContent.split("\n").flatMap(line => {
    const [, mark, rest] = /^(BAD|WARN|ok|note)( .*)$/.exec(line) ?? [];
    return mark ? [el("b", {className: kinds[mark], textContent: mark}), rest + "\n"] : [line + "\n"];
  }));
}
showFigures();
markReport($("#report pre"));
if (!$("#report pre").textContent.trim()) $("#report pre").replaceWith(missing("There is no report of this run."));
showDiff();
{
  const names = [...run.classes, "barrier wait", "waits for a CPU"];
  $("#strip .legend").append(...names.map((n, i) => el("span", {}, el("i", {style: `background:${stripColours[i]}`}), n)));
  for (const r of runs) { if (other) $("#strip .strips").append(el("h3", {textContent: r.name})); stripDraw(r, $("#strip .strips"), $("#strip .readout"), names); }
}
operators();
charts();
threads();
experts();
recording();
graphView($("#graph .graph"));
