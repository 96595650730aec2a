"use strict";

/** What a page shows, kept behind the `#` of its address, so that a link shows the same. */
class PageState {
  constructor() {
    this.read();
  }

  read() {
    const values = new URLSearchParams(location.hash.slice(1));
    const number = (name) => {
      const value = Number.parseFloat(values.get(name));
      return Number.isFinite(value) ? value : null;
    };
    this.time = number("t");
    this.threshold = number("score");
    this.person = values.get("person");
    this.search = values.get("q") ?? "";
    this.list = values.get("list") ?? "segments";
    this.hidden = new Set((values.get("hide") ?? "").split(",").filter(Boolean).map(Number));
    const view = (values.get("view") ?? "").split("-").map(Number);
    this.view = view.length === 2 && view.every(Number.isFinite) ? view : null;
  }

  write() {
    const parts = [];
    const add = (name, value) => parts.push(`${name}=${encodeURIComponent(value)}`);
    if (this.time) add("t", this.time.toFixed(3).replace(/\.?0+$/, ""));
    if (this.threshold) add("score", this.threshold);
    if (this.person) add("person", this.person);
    if (this.search) add("q", this.search);
    if (this.list !== "segments") add("list", this.list);
    if (this.hidden.size) add("hide", [...this.hidden].join(","));
    if (this.view) add("view", this.view.map((value) => Number(value.toFixed(2))).join("-"));
    const hash = parts.length ? `#${parts.join("&")}` : "";
    if (hash !== location.hash) {
      history.replaceState(null, "", hash || location.pathname + location.search);
    }
  }
}
