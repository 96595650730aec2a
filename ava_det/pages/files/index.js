"use strict";

/** Sorts the videos by one action, and keeps the choice behind the `#` of the address. */
class VideoIndex {
  constructor() {
    this.list = document.getElementById("videos");
    this.cards = [...this.list.children];
    this.buttons = [...document.querySelectorAll("#actions button")];
    for (const button of this.buttons) {
      button.addEventListener("click", () => {
        const isChosen = button.getAttribute("aria-pressed") === "true";
        const hash = isChosen ? "" : `#action=${encodeURIComponent(button.dataset.action)}`;
        history.replaceState(null, "", hash || location.pathname + location.search);
        this.show();
      });
    }
    window.addEventListener("hashchange", () => this.show());
    listenToTheme(document.getElementById("theme"), () => {});
    this.show();
  }

  show() {
    const chosen = new URLSearchParams(location.hash.slice(1)).get("action");
    const secondsOf = (card) => {
      const row = [...card.querySelectorAll("li")].find((one) => one.dataset.action === chosen);
      return row ? [Number(row.dataset.seconds), Number(row.dataset.count)] : [-1, -1];
    };
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.action === chosen));
    }
    for (const row of this.list.querySelectorAll("li li")) {
      row.classList.toggle("chosen", row.dataset.action === chosen);
    }
    const order = [...this.cards];
    if (chosen) {
      const amounts = new Map(order.map((card) => [card, secondsOf(card)]));
      order.sort((one, other) => {
        const [seconds, count] = amounts.get(one);
        const [others, otherCount] = amounts.get(other);
        return others - seconds || otherCount - count;
      });
      const found = order.filter((card) => amounts.get(card)[0] >= 0).length;
      const text = `${found} of ${order.length} videos have “${chosen}”, the longest first.`;
      document.getElementById("note").textContent = text;
    }
    this.list.replaceChildren(...order);
  }
}

new VideoIndex();
