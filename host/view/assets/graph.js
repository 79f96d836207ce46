/* SPDX-License-Identifier: Apache-2.0 */
/* Zooming and moving an SVG graph: wheel, drag, and + - 0 arrows on the keyboard; n and p go from node
   to node. */
"use strict";
function graphView(box) {
  const svg = box.querySelector("svg");
  if (!svg) return;
  const full = svg.viewBox.baseVal;
  const home = {x: full.x, y: full.y, w: full.width, h: full.height};
  let view = {...home};
  svg.setAttribute("width", "100%");
  svg.setAttribute("height", "100%");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "operator graph");
  const show = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const zoom = (factor, fx, fy) => {
    const w = Math.min(Math.max(view.w * factor, home.w / 200), home.w * 4);
    const f = w / view.w;
    view = {x: view.x + view.w * fx * (1 - f), y: view.y + view.h * fy * (1 - f), w, h: view.h * f};
    show();
  };
  /* A graph much larger than its box starts at its top, in letters that can be read. */
  function start() {
    const r = box.getBoundingClientRect(), readable = 0.8;
    if (!(r.width > 0 && r.height > 0) || Math.min(r.width / home.w, r.height / home.h) >= readable) return;
    const scale = Math.min(Math.max(r.width / home.w, readable), 1.2), w = r.width / scale;
    view = {x: home.x + Math.max(home.w - w, 0) / 2, y: home.y, w, h: r.height / scale};
    if (w > home.w) view.x = home.x - (w - home.w) / 2;
    show();
  }
  box.addEventListener("wheel", e => {
    const r = box.getBoundingClientRect();
    e.preventDefault();
    zoom(e.deltaY > 0 ? 1.2 : 1 / 1.2, (e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  }, {passive: false});
  let from = null;
  box.addEventListener("pointerdown", e => { from = {x: e.clientX, y: e.clientY, view: {...view}}; box.setPointerCapture(e.pointerId); });
  box.addEventListener("pointerup", () => { from = null; });
  box.addEventListener("pointermove", e => {
    if (!from) return;
    const r = box.getBoundingClientRect();
    const scale = Math.max(view.w / r.width, view.h / r.height);
    view = {...view, x: from.view.x - (e.clientX - from.x) * scale, y: from.view.y - (e.clientY - from.y) * scale};
    show();
  });
  box.tabIndex = 0;
  box.addEventListener("keydown", e => {
    const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[e.key];
    if (step) { view.x += step[0] * view.w; view.y += step[1] * view.h; show(); }
    else if (e.key === "+" || e.key === "=") zoom(1 / 1.2, 0.5, 0.5);
    else if (e.key === "-") zoom(1.2, 0.5, 0.5);
    else if (e.key === "0") { view = {...home}; show(); }
    else if (e.key === "n" || e.key === "p") visit(at + (e.key === "n" ? 1 : -1));
    else return;
    e.preventDefault();
  });
  const tip = box.parentElement.querySelector(".tip");
  const nodes = [...svg.querySelectorAll("g.node")].map(node => {
    const link = node.querySelector("a"), b = node.getBBox(), to = node.parentElement.getCTM(), back = svg.getCTM().inverse().multiply(to);
    const middle = new DOMPoint(b.x + b.width / 2, b.y + b.height / 2).matrixTransform(back);
    const text = link ? link.getAttribute("xlink:title") || link.getAttributeNS("http://www.w3.org/1999/xlink", "title") : "";
    if (link) link.removeAttributeNS("http://www.w3.org/1999/xlink", "href");
    node.addEventListener("pointerenter", () => { if (tip) tip.textContent = text; });
    return {node, text, x: middle.x, y: middle.y};
  }).sort((a, b) => a.y - b.y || a.x - b.x);
  let at = -1;
  function visit(i) {
    if (!nodes.length) return;
    if (at >= 0) nodes[at].node.classList.remove("at");
    at = (Math.max(i, -1) + nodes.length) % nodes.length;
    const n = nodes[at];
    n.node.classList.add("at");
    view = {...view, x: n.x - view.w / 2, y: n.y - view.h / 2};
    show();
    if (tip) tip.textContent = n.text;
  }
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `operator graph of ${nodes.length} nodes; n and p go from one to the next`);
  start();
}
