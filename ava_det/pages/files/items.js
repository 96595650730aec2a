"use strict";

const NOBODY_COLOR = "#bec3cd";

/** Makes what the timeline and the list show of one action of one person. */
class ItemMaker {
  /**
   * @param classes [id, name, color] of each action.
   * @param personColors Those of the overlay, in the order of tracks.
   */
  constructor(classes, personColors) {
    this.actions = new Map(classes.map(([id, name, color]) => [id, { id, name, color }]));
    this.personColors = personColors;
  }

  personColor(track) {
    return track ? this.personColors[(track - 1) % this.personColors.length] : NOBODY_COLOR;
  }

  make(track, id, start, end) {
    const name = track ? `#${track}` : "–";
    const color = this.personColor(track);
    const action = this.actions.get(id);
    return {
      start, end, action: id, title: action.name, color: action.color, key: name, name,
      person: name, nameColor: color, personColor: color,
    };
  }
}

/**
 * Returns a test of whether an item has all words of a search in its person and its title.
 *
 * A word like #1 is that person alone, not #12 too.
 */
function makeSearch(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (item) => {
    const persons = `${item.name} ${item.person ?? ""}`.toLowerCase();
    const found = `${persons} ${item.title}`.toLowerCase();
    const isPerson = (word) => persons.split(" ").includes(word);
    return words.every((word) => (word.startsWith("#") ? isPerson(word) : found.includes(word)));
  };
}
