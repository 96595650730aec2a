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
 * Items are {start, end, title, note, color, personColor, person}, in order of time.
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

  showMore() {
    const from = this.rows.length;
    const part = this.items.slice(from, from + PAGE);
    const rows = part.map((item) => this.makeRow(item));
    this.rows.push(...rows);
    this.list.append(...rows);
    const left = this.items.length - this.rows.length;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(left, PAGE)} more of ${left}`;
  }

  makeRow(item) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const time = document.createElement("span");
    time.className = "when";
    const isLong = item.end > item.start;
    time.textContent = formatTime(item.start) + (isLong ? ` – ${formatTime(item.end)}` : "");
    const person = document.createElement("span");
    person.className = "person";
    person.textContent = item.person;
    person.style.background = item.personColor;
    const title = document.createElement("span");
    title.className = "what";
    title.textContent = item.title;
    title.style.setProperty("--color", item.color);
    const note = document.createElement("span");
    note.className = "note";
    note.textContent = item.note;
    button.append(time, person, title, note);
    button.addEventListener("click", () => this.onChoose(item));
    row.append(button);
    return row;
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
