"use strict";

const MAX_EVENTS = 200; // that the list keeps, the newest first
const STALE_SECONDS = 5; // after which boxes are taken away
const byId = (id) => document.getElementById(id);

/** The page of a live source: its picture, the newest boxes, and what happens, the newest first. */
class LivePage {
  constructor() {
    this.boxes = new BoxCanvas(byId("boxes"));
    this.list = new EventsList(byId("list"), byId("more"), (item) => {
      byId("search").value = item.person;
      this.showEvents();
    });
    this.events = new Map();
    this.actions = new Map();
    this.personColors = ["#bec3cd"];
    this.keyframe = null;
    byId("show-boxes").addEventListener("change", () => this.draw());
    byId("search").addEventListener("input", () => this.showEvents());
    listenToTheme(byId("theme"), () => {});
    new ResizeObserver(() => this.draw()).observe(byId("boxes"));
    this.listen();
  }

  listen() {
    const source = new EventSource("/events");
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    on("state", (state) => this.begin(state));
    on("keyframe", (keyframe) => this.showKeyframe(keyframe));
    on("event", (event) => {
      this.events.set(event.id, event);
      this.askForEvents();
    });
    on("end", () => {
      source.close();
      this.say("the source has ended", "ended");
    });
    source.addEventListener("error", () => this.say("connection lost, trying again", "lost"));
  }

  begin(state) {
    this.personColors = state.personColors;
    this.actions = new Map(state.actions.map(([id, name, color]) => [id, { name, color }]));
    this.events = new Map(state.events.map((event) => [event.id, event]));
    this.say(state.isEnded ? "the source has ended" : "live", state.isEnded ? "ended" : "");
    const picture = byId("picture"); // after a lost connection it is asked for again
    picture.src = `/pictures?${Date.now()}`;
    if (state.keyframes.length) this.showKeyframe(state.keyframes[0]);
    this.showEvents();
  }

  say(text, kind) {
    byId("status").textContent = text;
    byId("status").className = `status ${kind}`;
  }

  personColor(track) {
    return track ? this.personColors[(track - 1) % this.personColors.length] : "#bec3cd";
  }

  showKeyframe(keyframe) {
    this.keyframe = keyframe;
    byId("time").textContent = formatTime(keyframe.time);
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(() => {
      this.keyframe = null;
      this.draw();
    }, STALE_SECONDS * 1000);
    this.draw();
  }

  draw() {
    this.boxes.clear();
    if (!this.keyframe || !byId("show-boxes").checked) return;
    this.boxes.draw(this.keyframe.persons.map((person) => ({
      name: person.track_id ? `#${person.track_id}` : "person",
      color: this.personColor(person.track_id),
      box: person.box_fraction,
      isChosen: false,
      actions: person.actions.map((action) => ({
        ...(this.actions.get(action.id) ?? { name: action.name, color: "#bec3cd" }),
        score: action.score,
        status: 0,
      })),
    })));
  }

  /** Updates the list, at most once a frame. */
  askForEvents() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.showEvents();
    });
  }

  showEvents() {
    for (const id of this.events.keys()) {
      if (this.events.size <= MAX_EVENTS) break;
      this.events.delete(id);
    }
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const items = [...this.events.values()].reverse().map((event) => {
      const action = this.actions.get(event.action_id) ?? { name: event.action, color: "#bec3cd" };
      return {
        start: event.start, end: event.end, title: action.name, color: action.color,
        person: `#${event.track}`, personColor: this.personColor(event.track),
        note: `${event.is_going ? "now · " : ""}${event.score.toFixed(2)}`, isGoing: event.is_going,
      };
    }).filter((item) => {
      const text = `${item.person} ${item.title}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    this.list.setItems(items);
    this.list.rows.forEach((row, i) => row.classList.toggle("now", items[i].isGoing));
    byId("count").textContent = `${items.length.toLocaleString("en")} events`;
    const going = items.filter((item) => item.isGoing);
    const text = going.map((item) => `${item.person} ${item.title}`).join(", ");
    if (text !== byId("now").textContent) byId("now").textContent = text;
  }
}

window.page = new LivePage();
