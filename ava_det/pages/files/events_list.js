"use strict";

const PAGE = 100; // rows that are shown at once

/** Formats seconds as 1:05 or 1:02:05, with tenths where they are not whole. */
function formatTime(seconds) {
  const tenths = Math.round(Math.max(seconds, 0) * 10);
  const whole = Math.floor(tenths / 10);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const head = hours ? `${hours}:${two(minutes)}` : String(minutes);
  return `${head}:${two(whole % 60)}${tenths % 10 ? `.${tenths % 10}` : ""}`;
}

/**
 * A list of moments, each a button that seeks; long lists are shown in parts.
 *
 * Items are {start, end, title, note, color, personColor, person}, in the order of the list; those
 * of a live source have isGoing where they have not ended.
 */
class EventsList {
  /** @param onChoose Called with the item that was clicked. */
  constructor(list, more, onChoose) {
    this.list = list;
    this.more = more;
    this.onChoose = onChoose;
    this.items = [];
    this.rows = [];
    more.addEventListener("click", () => {
      const next = this.rows.length;
      this.showMore();
      this.rows[next]?.firstElementChild.focus();
    });
  }

  setItems(items) {
    this.items = items;
    this.rows = [];
    this.list.replaceChildren();
    this.showMore();
  }

  /**
   * Takes the items of a list that goes on, which have an id too.
   *
   * The rows of those that are still there stay, and so do the focus and the place in the list.
   */
  updateItems(items) {
    const rows = new Map(this.rows.map((row, i) => [this.items[i].id, row]));
    this.items = items;
    this.rows = items.slice(0, Math.max(this.rows.length, PAGE)).map((item) => {
      const row = rows.get(item.id) ?? this.makeRow();
      this.fillRow(row, item);
      return row;
    });
    const shown = new Set(this.rows);
    for (const row of [...this.list.children]) if (!shown.has(row)) row.remove();
    this.rows.forEach((row, i) => {
      const there = this.list.children[i];
      if (there !== row) this.list.insertBefore(row, there ?? null);
    });
    this.showHowManyMore();
  }

  showMore() {
    const from = this.rows.length;
    const rows = this.items.slice(from, from + PAGE).map((item) => {
      const row = this.makeRow();
      this.fillRow(row, item);
      return row;
    });
    this.rows.push(...rows);
    this.list.append(...rows);
    this.showHowManyMore();
  }

  showHowManyMore() {
    const left = this.items.length - this.rows.length;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(left, PAGE)} more of ${left}`;
  }

  makeRow() {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    for (const name of ["when", "person", "what", "note"]) {
      const part = document.createElement("span");
      part.className = name;
      button.append(part);
    }
    button.addEventListener("click", () => this.onChoose(row.item));
    row.append(button);
    return row;
  }

  fillRow(row, item) {
    row.item = item;
    const [time, person, title, note] = row.firstElementChild.children;
    const end = item.isGoing ? "now" : formatTime(item.end);
    const isLong = item.isGoing || item.end > item.start;
    const texts = [
      [time, formatTime(item.start) + (isLong ? ` – ${end}` : "")],
      [person, item.person], [title, item.title], [note, item.note],
    ];
    for (const [part, text] of texts) if (part.textContent !== text) part.textContent = text;
    person.style.background = item.personColor;
    title.style.setProperty("--color", item.color);
  }

  /** Marks what happens at a time. */
  setTime(seconds) {
    this.rows.forEach((row, i) => {
      const item = this.items[i];
      const isNow = item.start <= seconds + 1e-3 && seconds <= item.end + 1e-3;
      if (isNow !== row.classList.contains("now")) row.classList.toggle("now", isNow);
    });
  }
}
