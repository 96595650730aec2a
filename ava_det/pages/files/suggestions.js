"use strict";

/** Orders the suggestions by rank, by one of the reasons, or by video and rank. */
(() => {
  const tiles = document.getElementById("tiles");
  const buttons = [...document.querySelectorAll("#order button")];
  const number = (tile, name) => Number(tile.dataset[name]);
  const compare = {
    rank: () => 0,
    video: (a, b) => (a.dataset.video < b.dataset.video ? -1 : Number(a.dataset.video > b.dataset.video)),
  };
  listenToTheme(document.getElementById("theme"), () => {});
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const order = button.dataset.order;
      const first = compare[order] ?? ((a, b) => number(b, order) - number(a, order));
      const sorted = [...tiles.children].sort((a, b) => first(a, b) || number(a, "rank") - number(b, "rank"));
      tiles.append(...sorted);
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
})();
