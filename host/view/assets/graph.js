/* SPDX-License-Identifier: Apache-2.0 */
/* Zooming and moving an SVG graph: wheel, drag, and + - 0 arrows on the keyboard. */
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
    else return;
    e.preventDefault();
  });
  const tip = box.parentElement.querySelector(".tip");
  for (const node of svg.querySelectorAll("g.node")) {
    const link = node.querySelector("a");
    const text = link ? link.getAttribute("xlink:title") || link.getAttributeNS("http://www.w3.org/1999/xlink", "title") : "";
    if (link) link.removeAttributeNS("http://www.w3.org/1999/xlink", "href");
    node.addEventListener("pointerenter", () => { if (tip) tip.textContent = text; });
  }
}
