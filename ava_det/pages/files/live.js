"use strict";

const MAX_KEPT = 1000; // that the page keeps
const MAX_ALARMS = 200;
const ALARM_COLOR = "var(--bad)";
const STALE_SECONDS = 5; // after which boxes are taken away
const byId = (id) => document.getElementById(id);

/** The page of a live source: its picture, the newest boxes, and what happens, the newest first. */
class LivePage {
  constructor() {
    this.boxes = new BoxCanvas(byId("boxes"));
    this.list = new EventsList(byId("list"), byId("more"), (item) => {
      byId("search").value = item.person;
      this.showList();
    });
    this.actions = new Map(); // by id, in the order in which they began
    this.alarms = []; // events of rules, oldest first
    this.classes = new Map();
    this.personColors = ["#bec3cd"];
    this.keyframe = null;
    byId("show-boxes").addEventListener("change", () => this.draw());
    byId("search").addEventListener("input", () => this.showList());
    byId("kind").addEventListener("change", () => this.showList());
    listenToTheme(byId("theme"), () => {});
    new ResizeObserver(() => this.draw()).observe(byId("boxes"));
    this.listen();
  }

  listen() {
    const source = new EventSource("/events");
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    on("state", (state) => this.begin(state));
    on("keyframe", (keyframe) => this.showKeyframe(keyframe));
    on("actions", (actions) => {
      for (const action of actions) this.actions.set(action.id, action);
      this.askForList();
    });
    on("alarm", (alarm) => {
      this.alarms.push(alarm);
      byId("alarm").textContent = `${alarm.rule}: ${nameTracks(alarm)}`;
      this.askForList();
    });
    on("end", () => {
      source.close();
      this.say("the source has ended", "ended");
    });
    source.addEventListener("error", () => this.say("connection lost, trying again", "lost"));
  }

  begin(state) {
    this.personColors = state.personColors;
    this.classes = new Map(state.classes.map(([id, name, color]) => [id, { name, color }]));
    this.actions = new Map(state.actions.map((action) => [action.id, action]));
    this.alarms = state.alarms;
    this.say(state.isEnded ? "the source has ended" : "live", state.isEnded ? "ended" : "");
    const picture = byId("picture"); // after a lost connection it is asked for again
    picture.src = `/pictures?${Date.now()}`;
    if (state.keyframes.length) this.showKeyframe(state.keyframes[0]);
    this.showList();
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
        ...(this.classes.get(action.id) ?? { name: action.name, color: "#bec3cd" }),
        score: action.score,
        status: 0,
      })),
    })));
  }

  /** Updates the list, at most once a frame. */
  askForList() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.showList();
    });
  }

  showList() {
    for (const id of this.actions.keys()) {
      if (this.actions.size <= MAX_KEPT) break;
      this.actions.delete(id);
    }
    this.alarms.splice(0, this.alarms.length - MAX_ALARMS);
    const kind = byId("kind").value;
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const items = [
      ...(kind === "events" ? [] : [...this.actions.values()].map((one) => this.makeItem(one))),
      ...(kind === "actions" ? [] : this.alarms.map((one) => this.makeAlarm(one))),
    ].filter((item) => {
      const text = `${item.person} ${item.title}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }).sort((one, other) => other.since - one.since);
    this.list.setItems(items);
    this.list.rows.forEach((row, i) => {
      row.classList.toggle("now", items[i].isGoing);
      row.classList.toggle("alarm", items[i].isAlarm);
    });
    const what = kind === "all" ? "actions and events" : kind;
    byId("count").textContent = `${items.length.toLocaleString("en")} ${what}`;
    this.tellWhatGoesOn();
  }

  makeItem(action) {
    const known = this.classes.get(action.action_id) ?? { name: action.action, color: "#bec3cd" };
    return {
      since: action.start, start: action.start, end: action.end,
      title: known.name, color: known.color,
      person: `#${action.track}`, personColor: this.personColor(action.track),
      note: `${action.is_going ? "now · " : ""}${action.score.toFixed(2)}`,
      isGoing: action.is_going, isAlarm: false,
    };
  }

  /** An event of a rule stands where it was found: some time after it began. */
  makeAlarm(alarm) {
    return {
      since: alarm.time, start: alarm.start, end: alarm.time,
      title: alarm.rule, color: ALARM_COLOR,
      person: nameTracks(alarm), personColor: this.personColor(alarm.persons[0]?.track_id),
      note: new Date(alarm.utc).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
      isGoing: false, isAlarm: true,
    };
  }

  /** Says to a screen reader what goes on, when that changes. */
  tellWhatGoesOn() {
    const going = [...this.actions.values()].filter((action) => action.is_going);
    const text = going.map((action) => `#${action.track} ${action.action}`).join(", ");
    if (text !== byId("now").textContent) byId("now").textContent = text;
  }
}

/** Names the persons of an event of a rule. */
function nameTracks(alarm) {
  return alarm.persons.map((person) => `#${person.track_id}`).join(" ");
}

window.page = new LivePage();
