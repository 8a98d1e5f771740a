"use strict";
(() => {
  const plot = document.querySelector("svg.parallel");
  if (!plot) return;
  const lines = [...plot.querySelectorAll("polyline")].map((line) => ({ line, places: JSON.parse(line.dataset.places) }));
  const dots = [...document.querySelectorAll("circle[data-row]")];
  const ranges = new Map();
  const apply = () => {
    const out = new Set();
    for (const { line, places } of lines) {
      const kept = [...ranges].every(([axis, [low, high]]) => places[axis] !== null && places[axis] >= low && places[axis] <= high);
      line.classList.toggle("faded", !kept);
      if (!kept) out.add(line.dataset.row);
    }
    for (const dot of dots) dot.classList.toggle("faded", out.has(dot.dataset.row));
  };
  const draw = (grip) => {
    const [top, height] = [Number(grip.dataset.top), Number(grip.dataset.height)];
    const range = ranges.get(Number(grip.dataset.axis));
    const brush = grip.parentNode.querySelector(".brush");
    brush.setAttribute("y", range ? top + height * (1 - range[1]) : 0);
    brush.setAttribute("height", range ? Math.max(height * (range[1] - range[0]), 1) : 0);
  };
  for (const grip of plot.querySelectorAll(".grip")) {
    const axis = Number(grip.dataset.axis);
    const place = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
      return 1 - (point.y - Number(grip.dataset.top)) / Number(grip.dataset.height);
    };
    let from = null;
    grip.addEventListener("pointerdown", (event) => {
      from = place(event);
      grip.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    grip.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = place(event);
      ranges.set(axis, [Math.min(from, to), Math.max(from, to)]);
      draw(grip);
      apply();
    });
    grip.addEventListener("pointerup", (event) => {
      if (from !== null && Math.abs(place(event) - from) < 0.01) ranges.delete(axis);
      from = null;
      draw(grip);
      apply();
    });
  }
  document.getElementById("clear").addEventListener("click", () => {
    ranges.clear();
    for (const grip of plot.querySelectorAll(".grip")) draw(grip);
    apply();
  });
})();
