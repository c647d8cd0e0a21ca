// HTML from templates: values are escaped, unless they are HTML already.

class Html {
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export const escape = (text) => String(text).replace(/[&<>"']/g, (letter) => ENTITIES[letter]);

const shown = (value) => {
  if (Array.isArray(value)) return value.map(shown).join("");
  if (value === null || value === undefined || value === false) return "";
  return value instanceof Html ? value.text : escape(value);
};

/** HTML as it is. */
export const raw = (text) => new Html(text);

/** A template: what is put in is escaped. */
export const html = (parts, ...values) =>
  new Html(parts.map((part, n) => part + (n < values.length ? shown(values[n]) : "")).join(""));
