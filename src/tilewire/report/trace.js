"use strict";
(() => {
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
