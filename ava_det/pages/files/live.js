"use strict";

const MAX_KEPT = 1000; // actions
const MAX_ALARMS = 200;
const MAX_NAMED = 3; // persons of an event
const ALARM_COLOR = "#e2574c";
const STALE_SECONDS = 5; // after which boxes are taken away
const VIEW_SECONDS = 300; // of the timeline, until the user zooms it
const byId = (id) => document.getElementById(id);

/** The page of a live source: its picture, the newest boxes, and what happened in the last time. */
class LivePage {
  constructor() {
    this.boxes = new BoxCanvas(byId("boxes"));
    this.list = new EventsList(byId("list"), byId("more"), (item) => this.search(item.person));
    this.timeline = new Timeline(
      byId("timeline"), 1, (_, item) => item && this.search(item.person),
      (view) => this.keepView(view),
    );
    this.span = VIEW_SECONDS;
    this.isFollowing = true;
    this.found = new Map(); // actions by id, in the order in which they began
    this.alarms = []; // events of rules, oldest first
    this.items = new ItemMaker([], [NOBODY_COLOR]);
    this.keyframe = null;
    byId("show-boxes").addEventListener("change", () => this.draw());
    byId("search").addEventListener("input", () => this.showItems());
    byId("kind").addEventListener("change", () => this.showItems());
    byId("zoom-in").addEventListener("click", () => this.timeline.zoom(2));
    byId("zoom-out").addEventListener("click", () => this.timeline.zoom(0.5));
    byId("follow").addEventListener("click", () => {
      this.timeline.moveView(this.timeline.duration - this.span, this.timeline.duration);
    });
    listenToTheme(byId("theme"), () => this.timeline.redraw());
    new ResizeObserver(() => this.draw()).observe(byId("boxes"));
    this.listen();
  }

  listen() {
    const source = new EventSource("/events");
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    on("state", (state) => this.begin(state));
    on("keyframe", (keyframe) => this.showKeyframe(keyframe));
    on("actions", (actions) => {
      for (const action of actions) this.found.set(action.id, action);
      this.askForItems();
    });
    on("alarm", (alarm) => {
      this.alarms.push(alarm);
      byId("alarm").textContent = `${alarm.rule}: ${nameTracks(alarm)}`;
      this.askForItems();
    });
    on("end", () => {
      source.close();
      this.say("the source has ended", "ended");
    });
    source.addEventListener("error", () => this.say("connection lost, trying again", "lost"));
  }

  begin(state) {
    this.items = new ItemMaker(state.classes, state.personColors);
    this.found = new Map(state.actions.map((action) => [action.id, action]));
    this.alarms = state.alarms;
    this.say(state.isEnded ? "the source has ended" : "live", state.isEnded ? "ended" : "");
    const picture = byId("picture"); // after a lost connection it is asked for again
    picture.src = `/pictures?${Date.now()}`;
    if (state.keyframes.length) this.showKeyframe(state.keyframes[0]);
    this.showItems();
  }

  say(text, kind) {
    byId("status").textContent = text;
    byId("status").className = `status ${kind}`;
  }

  /** Shows what one person did, or with the same person again everybody. */
  search(person) {
    byId("search").value = byId("search").value === person ? "" : person;
    this.showItems();
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
    this.moveTimeline(keyframe.time);
  }

  /** Moves the end of the timeline, and what is seen of it unless the user looks at earlier times. */
  moveTimeline(time) {
    const { timeline } = this;
    timeline.duration = Math.max(time, 1);
    if (this.isFollowing) timeline.setView(timeline.duration - this.span, timeline.duration);
    timeline.setTime(time, false);
  }

  keepView([start, end]) {
    this.span = end - start;
    this.isFollowing = end > this.timeline.duration - 0.01;
    byId("follow").setAttribute("aria-pressed", this.isFollowing);
  }

  draw() {
    this.boxes.clear();
    if (!this.keyframe || !byId("show-boxes").checked) return;
    this.boxes.draw(this.keyframe.persons.map((person) => ({
      name: person.track_id ? `#${person.track_id}` : "person",
      color: this.items.personColor(person.track_id),
      box: person.box_fraction,
      isChosen: false,
      actions: person.actions.map((action) => ({
        ...this.items.actions.get(action.id), score: action.score, status: 0,
      })),
    })));
  }

  /** Updates list and timeline, at most once a frame. */
  askForItems() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.showItems();
    });
  }

  showItems() {
    for (const id of this.found.keys()) {
      if (this.found.size <= MAX_KEPT) break;
      this.found.delete(id);
    }
    this.alarms.splice(0, this.alarms.length - MAX_ALARMS);
    const isFound = makeSearch(byId("search").value);
    const actions = [...this.found.values()].map((one) => this.makeItem(one)).filter(isFound);
    const alarms = this.alarms.map((one) => this.makeAlarm(one)).filter(isFound);
    const byPerson = [...actions].sort((one, other) => other.track - one.track);
    this.timeline.setItems([...alarms, ...byPerson]); // rows are in this order, the newest first
    this.showList(actions, alarms);
    this.tellWhatGoesOn();
  }

  /** Lists actions, events of rules or both, the newest first; events where they were found. */
  showList(actions, alarms) {
    const kind = byId("kind").value;
    const found = alarms.map((alarm) => ({ ...alarm, start: alarm.end }));
    const items = [...(kind === "events" ? [] : actions), ...(kind === "actions" ? [] : found)];
    items.sort((one, other) => other.start - one.start);
    this.list.updateItems(items);
    this.list.rows.forEach((row) => {
      row.classList.toggle("now", row.item.isGoing);
      row.classList.toggle("alarm", row.item.isAlarm);
    });
    const what = kind === "all" ? "actions and events" : kind;
    byId("count").textContent = `${items.length.toLocaleString("en")} ${what}`;
  }

  makeItem(action) {
    const { id, track, start, end, score } = action;
    return {
      ...this.items.make(track, action.action_id, start, end),
      id, track, note: score.toFixed(2), isGoing: action.is_going, isAlarm: false,
    };
  }

  makeAlarm(alarm) {
    const person = nameTracks(alarm);
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return {
      start: alarm.start, end: alarm.time, title: alarm.rule, color: ALARM_COLOR,
      key: "events", name: "events", nameColor: ALARM_COLOR,
      person, personColor: this.items.personColor(alarm.persons[0]?.track_id),
      note: new Date(alarm.utc).toLocaleTimeString([], clock),
      id: `${alarm.rule} ${person} ${alarm.time}`, isGoing: false, isAlarm: true,
    };
  }

  /** Says to a screen reader what goes on, when that changes. */
  tellWhatGoesOn() {
    const going = [...this.found.values()].filter((action) => action.is_going);
    const text = going.map((action) => `#${action.track} ${action.action}`).join(", ");
    if (text !== byId("now").textContent) byId("now").textContent = text;
  }
}

/** Names the persons of an event of a rule, of a crowd the first ones. */
function nameTracks(alarm) {
  const names = alarm.persons.map((person) => `#${person.track_id}`);
  const more = names.length - MAX_NAMED;
  return [...names.slice(0, MAX_NAMED), ...(more > 0 ? [`+${more}`] : [])].join(" ");
}

window.page = new LivePage();
