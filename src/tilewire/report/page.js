"use strict";
(() => {
  const tip = document.getElementById("tip");
  const say = (text, event) => {
    tip.replaceChildren(...text.split("\n").map((line, i) => {
      const row = document.createElement(i ? "div" : "b");
      for (const part of line.split("\t")) {
        const cell = document.createElement("span");
        cell.textContent = part;
        row.append(cell);
      }
      return row;
    }));
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const below = event.clientY + 16 + box.height < innerHeight;
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(below ? event.clientY + 16 : event.clientY - box.height - 12, 4)}px`;
  };
  let cursor = null;
  const hush = () => {
    tip.style.display = "none";
    if (cursor) cursor.style.visibility = "hidden";
    cursor = null;
  };
  const epochTip = (chart, event) => {
    const tips = chart.tips ??= JSON.parse(chart.dataset.tips);
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const [x0, x1] = [Number(chart.dataset.x0), Number(chart.dataset.x1)];
    const last = tips.length - 1;
    const at = last && x1 > x0 ? Math.round(Math.min(Math.max((point.x - x0) / (x1 - x0), 0), 1) * last) : 0;
    const x = last ? x0 + (x1 - x0) * at / last : x0;
    if (cursor && cursor.ownerSVGElement !== chart) cursor.style.visibility = "hidden";
    cursor = chart.querySelector(".cursor");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.style.visibility = "visible";
    say(tips[at], event);
  };
  const point = (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const told = target?.closest("[data-tip]");
    const chart = target?.closest("svg[data-tips]");
    if (told) say(told.dataset.tip, event);
    else if (chart) epochTip(chart, event);
    else hush();
  };
  for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, point);
  document.addEventListener("pointerleave", hush);
  addEventListener("scroll", hush, { passive: true });

  const chip = document.querySelector("svg.chip");
  for (const row of document.querySelectorAll("tr[data-link]")) {
    const link = document.getElementById(`link-${row.dataset.link}`);
    row.addEventListener("pointerenter", () => link?.classList.add("found"));
    row.addEventListener("pointerleave", () => link?.classList.remove("found"));
  }
  const store = document.getElementById("traces");
  if (!chip || !store) return;
  const flat = JSON.parse(store.textContent);
  let shown = null;
  const trace = (what, number) => {
    for (const unit of chip.querySelectorAll(".on")) unit.classList.remove("on");
    const key = `${what}${number}`;
    const clear = what === null || key === shown;
    shown = clear ? null : key;
    chip.classList.toggle("tracing", !clear);
    if (clear) return;
    const tile = (t) => chip.querySelector(`[data-tile="${t}"]`)?.classList.add("on");
    const link = (l) => document.getElementById(`link-${l}`)?.classList.add("on");
    if (what === "tile") tile(number); else link(number);
    for (let i = 0; i < flat.length; i += 3) {
      if (what === "tile" && flat[i] === number) link(flat[i + 1]);
      if (what === "link" && flat[i + 1] === number) tile(flat[i]);
    }
  };
  chip.addEventListener("click", (event) => {
    const unit = event.target.closest("[data-tile]");
    const link = event.target.closest("path.link[id]");
    if (unit) trace("tile", Number(unit.dataset.tile));
    else if (link) trace("link", Number(link.id.slice(5)));
    else trace(null, 0);
  });
})();
