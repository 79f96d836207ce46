/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline strip: token rows and, per worker, what it did in each bin of time. */
"use strict";
const stripColours = ["#3b78c9", "#8e44ad", "#2e9d5b", "#8d99a6", "#b9770e", "#5d6d7e", "#d9d9d9", "#d62728"];
function stripDraw(run, box, readout, names) {
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
  function paintLane(g, lane, y, width) {
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
    t.lanes.forEach((l, i) => {
      paintLane(g, i, top + i * rowHeight, width);
      g.globalAlpha = 0.75; g.fillStyle = style.getPropertyValue("--bg");
      const label = `${l.name} ${l.tid}`;
      g.fillRect(2, top + i * rowHeight + 3, g.measureText(label).width + 8, 15); g.globalAlpha = 1;
      g.fillStyle = fg; g.fillText(label, 6, top + i * rowHeight + 11);
    });
    g.fillStyle = fg;
    for (let i = 0; i <= 6; i++) {
      const at = view.from + (view.to - view.from) * i / 6, text = fmtNs(at);
      g.fillText(text, Math.min(Math.max(i * width / 6 - 10, 2), width - g.measureText(text).width - 2), 9);
    }
  }
  const show = () => { if (!queued) { queued = true; requestAnimationFrame(paint); } };
  function zoom(factor, f) {
    const w = Math.min(Math.max((view.to - view.from) * factor, span / 20000), span), at = view.from + (view.to - view.from) * f;
    move({from: at - w * f, to: at + w * (1 - f)});
  }
  function move(v) {
    const w = v.to - v.from;
    view = {from: Math.min(Math.max(v.from, 0), span - w)}; view.to = view.from + w; show();
  }
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : 0.8, e.offsetX / canvas.clientWidth); }, {passive: false});
  let drag = null;
  canvas.addEventListener("pointerdown", e => { drag = {x: e.clientX, ...view}; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointermove", e => {
    if (drag) { const by = (drag.x - e.clientX) / canvas.clientWidth * (drag.to - drag.from); move({from: drag.from + by, to: drag.to + by}); return; }
    const at = view.from + e.offsetX / canvas.clientWidth * (view.to - view.from), lane = Math.floor((e.offsetY - top) / rowHeight);
    const token = t.tokens.find(k => k[0] <= at && at <= k[1]);
    let text = fmtNs(at) + (token ? `, ${token[4] > 1 ? token[4] + " calls: " : ""}${token[2]} of ${token[3]} tokens taking ${fmtNs(token[1] - token[0])}` : "");
    if (t.lanes[lane]) {
      const bin = Math.min(Math.floor(at / span * t.bins), t.bins - 1);
      const parts = t.lanes[lane].bins.map((b, k) => [names[k], level(b, bin)]).filter(p => p[1] > 0).sort((a, b) => b[1] - a[1]);
      text += ` | ${t.lanes[lane].name} ${t.lanes[lane].tid}: ` + (parts.map(p => `${p[0]} ${Math.round(p[1] * 100)} %`).join(", ") || "idle");
    }
    readout.textContent = text;
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
  });
  new ResizeObserver(show).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}
