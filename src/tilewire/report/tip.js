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
})();
