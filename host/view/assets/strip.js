/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline strip: token rows and, per worker, what it did in each bin of time. Zoomed in, it draws
   every operator where the page has all of them, else finer bins. */
"use strict";
const stripColours = ["#3b78c9", "#8e44ad", "#2e9d5b", "#8d99a6", "#b9770e", "#5d6d7e", "#d9d9d9", "#d62728"];
/* Waiting is the background of a worker's row: it must not outshine what was computed. */
if (matchMedia("(prefers-color-scheme: dark)").matches) stripColours[6] = "#3f454f";
/* Intervals packed as varints in base64: gap (zigzag), length, then `extra` numbers each. */
function unpackRows(text, extra) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), begin = [], length = [], more = Array.from({length: extra}, () => []);
  let at = 0, end = 0;
  const number = () => { let v = 0, scale = 1, b; do { b = bytes[at++]; v += (b & 127) * scale; scale *= 128; } while (b > 127); return v; };
  while (at < bytes.length) {
    const gap = number(), from = end + (gap % 2 ? -(gap + 1) / 2 : gap / 2);
    begin.push(from); length.push(number()); end = from + length[length.length - 1];
    for (const m of more) m.push(number());
  }
  const order = begin.map((b, i) => i);
  if (begin.some((b, i) => i && b < begin[i - 1])) order.sort((a, b) => begin[a] - begin[b]);
  return {begin: order.map(i => begin[i]), length: order.map(i => length[i]), more: more.map(m => order.map(i => m[i]))};
}
/* The first row that begins at `t` or later. */
function firstAt(rows, t) {
  let lo = 0, hi = rows.begin.length;
  while (lo < hi) { const mid = lo + hi >> 1; if (rows.begin[mid] < t) lo = mid + 1; else hi = mid; }
  return lo;
}
const stripRowsDrawn = 6000;
function stripDraw(run, box, readout, kinds) {
  const t = run.timeline, canvas = document.createElement("canvas"), span = t.end - t.begin;
  if (!(span > 0)) { box.append(Object.assign(document.createElement("p"), {className: "missing", textContent: "nothing with times was recorded"})); return; }
  const rowHeight = 26, top = 44, height = top + t.lanes.length * rowHeight + 18;
  canvas.style.height = height + "px";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `timeline of ${run.name}: ${t.n_tokens} token rows, ${t.lanes.length} threads, ${fmtNs(span)}`);
  box.append(canvas);
  const home = {from: 0, to: span};
  let view = {...home}, queued = false;
  const level = (text, bin) => (text.charCodeAt(bin) - 48) / 64;
  /* Bins that share a pixel are summed, so no part of the run is left out of a picture. */
  const sums = t.lanes.map(l => l.bins.map(text => {
    const sum = new Float64Array(t.bins + 1);
    for (let i = 0; i < t.bins; i++) sum[i + 1] = sum[i] + level(text, i);
    return sum;
  }));
  const mean = (sum, a, b) => {
    const at = x => { const i = Math.min(Math.max(Math.floor(x), 0), t.bins - 1); return sum[i] + (sum[i + 1] - sum[i]) * Math.min(x - i, 1); };
    return b > a ? (at(b) - at(a)) / (b - a) : 0;
  };
  const names = t.names.map(n => { const [name, op, kind] = n.split("\t"); return {name: name || op, op, kind: Number(kind)}; });
  /* Unpacked when first looked at closely. */
  const exact = t.lanes.map(() => null);
  const rowsOf = lane => exact[lane] = exact[lane] || (t.lanes[lane].ops === undefined ? null : {ops: unpackRows(t.lanes[lane].ops, 2), waits: unpackRows(t.lanes[lane].waits, 1)});
  const inView = rows => [Math.max(firstAt(rows, view.from) - 1, 0), firstAt(rows, view.to)];
  function closeEnough() {
    if (!t.lanes.length || t.lanes[0].ops === undefined || view.to - view.from > span / 4 && t.lanes.some((l, i) => l.ops.length > 20 * stripRowsDrawn)) return false;
    return t.lanes.reduce((n, l, i) => { const [a, b] = inView(rowsOf(i).ops); return n + b - a; }, 0) <= stripRowsDrawn;
  }
  function paintRows(g, lane, y, px) {
    const {ops, waits} = rowsOf(lane), [first, last] = inView(ops), height = rowHeight - 6;
    for (let i = first; i < last; i++) {
      const x = px(ops.begin[i]), end = px(ops.begin[i] + ops.length[i]), n = names[ops.more[1][i]] || {name: "?", kind: 5};
      g.fillStyle = stripColours[n.kind % stripColours.length];
      g.fillRect(x, y + 2, Math.max(end - x - (end - x > 4 ? 0.7 : 0), 0.5), height);
      if (ops.more[0][i]) { g.fillStyle = stripColours[run.classes.length]; g.fillRect(end, y + 2, Math.max(px(ops.begin[i] + ops.length[i] + ops.more[0][i]) - end, 0.3), height); }
      if (end - x > 40) { g.save(); g.beginPath(); g.rect(x, y, end - x - 3, rowHeight); g.clip(); g.fillStyle = "#fff"; g.fillText(n.name, Math.max(x, 0) + 3, y + rowHeight / 2); g.restore(); }
    }
    const [a, b] = inView(waits);
    g.fillStyle = stripColours[run.classes.length + 1];
    for (let i = a; i < b; i++) { const x = px(waits.begin[i]); g.fillRect(x, y + rowHeight - 8, Math.max(px(waits.begin[i] + waits.length[i]) - x, 0.5), 4); }
  }
  function paintFine(g, lane, y, width) {
    const fine = t.lanes[lane].fine, scale = (view.to - view.from) / width / span * fine.length, first = view.from / span * fine.length;
    for (let x = 0; x < width; x++) {
      const kind = fine.charCodeAt(Math.min(Math.floor(first + x * scale), fine.length - 1)) - 48;
      if (kind < 0) continue;
      g.fillStyle = stripColours[kind % stripColours.length];
      g.fillRect(x, y + 2, 1, rowHeight - 6);
    }
  }
  function paintLane(g, lane, y, width) {
    if (t.lanes[lane].fine && (view.to - view.from) / width / span * t.bins < 0.5) { paintFine(g, lane, y, width); return; }
    const scale = (view.to - view.from) / width / span * t.bins, first = view.from / span * t.bins;
    for (let x = 0; x < width; x++) {
      let base = y + rowHeight - 4;
      const last = sums[lane].length - 1;
      for (let kind = 0; kind <= last; kind++) {
        /* An operator's time goes on while its thread waits for a CPU: that is drawn over it. */
        if (kind === last) base = y + rowHeight - 4;
        const h = mean(sums[lane][kind], first + x * scale, first + (x + 1) * scale) * (rowHeight - 6);
        if (h <= 0) continue;
        g.fillStyle = stripColours[kind % stripColours.length];
        const drawn = Math.max(h, 0.5);
        g.fillRect(x, base - drawn, 1, drawn);
        base -= drawn;
      }
    }
  }
  function paint() {
    queued = false;
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
    canvas.width = width * ratio; canvas.height = height * ratio;
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), fg = style.getPropertyValue("--fg");
    g.scale(ratio, ratio);
    g.fillStyle = style.getPropertyValue("--soft"); g.fillRect(0, 0, width, height);
    const px = ns => (ns - view.from) / (view.to - view.from) * width;
    g.font = "11px system-ui, sans-serif"; g.textBaseline = "middle";
    for (const [a, b, phase, n] of t.tokens) {
      const x = px(a), w = Math.max(px(b) - x, 0.6);
      if (x > width || x + w < 0) continue;
      g.fillStyle = phase === "prefill" ? "#c0792a" : phase === "decode" ? "#4a90a4" : "#888";
      g.fillRect(x, 20, w > 3 ? w - 0.7 : w, 18);
      if (w > 60) { g.fillStyle = "#fff"; g.fillText(`${phase} ${n}`, Math.max(x, 0) + 4, 29); }
    }
    const close = closeEnough();
    t.lanes.forEach((l, i) => {
      if (close) paintRows(g, i, top + i * rowHeight, px); else paintLane(g, i, top + i * rowHeight, width);
      g.globalAlpha = 0.75; g.fillStyle = style.getPropertyValue("--bg");
      const label = `${l.name} ${l.tid}`;
      g.fillRect(2, top + i * rowHeight + 3, g.measureText(label).width + 8, 15); g.globalAlpha = 1;
      g.fillStyle = fg; g.fillText(label, 6, top + i * rowHeight + 11);
    });
    g.fillStyle = fg;
    for (let i = 0; i <= 6; i++) {
      const at = view.from + (view.to - view.from) * i / 6, text = timeAt(at, 10);
      g.fillText(text, Math.min(Math.max(i * width / 6 - 10, 2), width - g.measureText(text).width - 2), 9);
    }
  }
  /* With as many digits as tell apart what is a sixth of the picture apart, and hundreds of that. */
  function timeAt(at, finer) {
    const [scale, unit] = [[1e9, "s"], [1e6, "ms"], [1e3, "us"]].find(u => view.to >= u[0]) ?? [1, "ns"], step = (view.to - view.from) / 6 / finer / scale;
    return (at / scale).toFixed(Math.min(Math.max(Math.ceil(-Math.log10(step)), 0), Math.round(Math.log10(scale)))) + " " + unit;
  }
  const show = () => { if (!queued) { queued = true; requestAnimationFrame(paint); } };
  /* No closer than what the page can show: some operators, or some bins. */
  const closest = t.lanes.length && t.lanes[0].ops !== undefined ? Math.min(2000, span) : span / t.bins / t.finer * 20;
  function zoom(factor, f) {
    const w = Math.min(Math.max((view.to - view.from) * factor, closest), span), at = view.from + (view.to - view.from) * f;
    move({from: at - w * f, to: at + w * (1 - f)});
  }
  function move(v) {
    const w = v.to - v.from;
    view = {from: Math.min(Math.max(v.from, 0), span - w)}; view.to = view.from + w; show();
  }
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : 0.8, e.offsetX / canvas.clientWidth); }, {passive: false});
  function binAt(lane, at) {
    const bin = Math.min(Math.floor(at / span * t.bins), t.bins - 1);
    const parts = t.lanes[lane].bins.map((b, k) => [kinds[k], level(b, bin)]).filter(p => p[1] > 0).sort((a, b) => b[1] - a[1]);
    return parts.map(p => `${p[0]} ${Math.round(p[1] * 100)} %`).join(", ") || "idle";
  }
  function rowAt(lane, at) {
    const {ops, waits} = rowsOf(lane), i = firstAt(ops, at + 1) - 1, w = firstAt(waits, at + 1) - 1;
    let text = "nothing of the engine's";
    if (i >= 0 && at <= ops.begin[i] + ops.length[i] + ops.more[0][i]) {
      const n = names[ops.more[1][i]] || {name: "unknown operator", op: ""};
      text = `${n.name} (${n.op}) ${fmtNs(ops.length[i])}` + (ops.more[0][i] ? `, then ${fmtNs(ops.more[0][i])} at the barrier` : "");
    }
    if (w >= 0 && at <= waits.begin[w] + waits.length[w]) { const by = t.names[waits.more[0][w]]; text += `, without a CPU for ${fmtNs(waits.length[w])}` + (by ? `: ${by} had it` : ""); }
    return text;
  }
  function describe(at, lanes) {
    const token = t.tokens.find(k => k[0] <= at && at <= k[1]), close = closeEnough();
    let text = timeAt(at, 100) + (token ? `, ${token[4] > 1 ? token[4] + " calls: " : ""}${token[2]} of ${token[3]} token${token[3] === 1 ? "" : "s"} taking ${fmtNs(token[1] - token[0])}` : "");
    for (const lane of lanes) if (t.lanes[lane]) text += ` | ${t.lanes[lane].name} ${t.lanes[lane].tid}: ` + (close ? rowAt(lane, at) : binAt(lane, at));
    readout.textContent = text;
  }
  let drag = null;
  canvas.addEventListener("pointerdown", e => { drag = {x: e.clientX, ...view}; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointermove", e => {
    if (drag) { const by = (drag.x - e.clientX) / canvas.clientWidth * (drag.to - drag.from); move({from: drag.from + by, to: drag.to + by}); return; }
    describe(view.from + e.offsetX / canvas.clientWidth * (view.to - view.from), [Math.floor((e.offsetY - top) / rowHeight)]);
  });
  canvas.addEventListener("keydown", e => {
    const w = view.to - view.from;
    if (e.key === "ArrowLeft") move({from: view.from - w / 10, to: view.to - w / 10});
    else if (e.key === "ArrowRight") move({from: view.from + w / 10, to: view.to + w / 10});
    else if (e.key === "+" || e.key === "=") zoom(0.8, 0.5);
    else if (e.key === "-") zoom(1.25, 0.5);
    else if (e.key === "0") move({...home});
    else return;
    e.preventDefault();
    /* For those who cannot point: the middle of what is shown. */
    describe((view.from + view.to) / 2, t.lanes.map((l, i) => i));
  });
  new ResizeObserver(show).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}
