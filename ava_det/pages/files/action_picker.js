"use strict";

/** A list of actions above the page, searched by typing; arrows, Enter or a click choose one. */
class ActionPicker {
  /**
   * @param dialog Holds an `input` and an `ol`.
   * @param actions [{id, name, color}].
   * @param onChoose Called with the id of the action that was chosen.
   */
  constructor(dialog, actions, onChoose) {
    this.dialog = dialog;
    this.search = dialog.querySelector("input");
    this.list = dialog.querySelector("ol");
    this.actions = actions;
    this.onChoose = onChoose;
    this.found = [];
    this.place = 0;
    this.search.addEventListener("input", () => this.show());
    this.search.addEventListener("keydown", (event) => this.onKey(event));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // beside it
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  open() {
    this.search.value = "";
    this.show();
    this.dialog.showModal();
    this.search.focus();
  }

  /** Lists the actions that have all words of the search in their name, or it as their id. */
  show() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.found = this.actions.filter(({ id, name }) => (
      words.every((word) => name.toLowerCase().includes(word) || String(id) === word)
    ));
    this.list.replaceChildren(...this.found.map((action, i) => this.makeRow(action, i)));
    this.mark(0);
  }

  makeRow(action, place) {
    const row = document.createElement("li");
    row.id = `action-${action.id}`;
    row.setAttribute("role", "option");
    const chip = document.createElement("span");
    chip.className = "chip";
    chip.style.background = action.color;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = action.name;
    const id = document.createElement("span");
    id.className = "count";
    id.textContent = action.id;
    row.append(chip, name, id);
    row.addEventListener("click", () => this.choose(place));
    return row;
  }

  mark(place) {
    this.place = Math.min(Math.max(place, 0), Math.max(this.found.length - 1, 0));
    [...this.list.children].forEach((row, i) => {
      row.setAttribute("aria-selected", String(i === this.place));
    });
    const row = this.list.children[this.place];
    row?.scrollIntoView({ block: "nearest" });
    this.search.setAttribute("aria-activedescendant", row?.id ?? "");
  }

  choose(place) {
    if (!this.found[place]) return;
    this.dialog.close();
    this.onChoose(this.found[place].id);
  }

  onKey(event) {
    const actions = {
      ArrowDown: () => this.mark(this.place + 1),
      ArrowUp: () => this.mark(this.place - 1),
      Enter: () => this.choose(this.place),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }
}
