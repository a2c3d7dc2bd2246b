// The drawer of the fault switch: one button for each fault, what one should see then, and what happened.
// It is fetched only where /config.json says that there is a switch; nothing else of the page knows it.

import { icon } from "./words.js";

const LOOK_MS = 1000;
const ANSWER_MS = 5000;
const OUT_OF_REACH = "The server cannot be reached.";
const at = (id) => document.getElementById(id);

/** Puts the button into the bar and the drawer, closed, into the page. */
export async function offerFaults() {
  await styled();
  const toggle = button("quiet faults-toggle");
  toggle.setAttribute("aria-label", "Faults");
  toggle.title = "Faults: break something and watch";
  toggle.append(icon("fault"));
  toggle.setAttribute("aria-expanded", "false");
  toggle.setAttribute("aria-controls", "faults");
  at("new-chat").before(toggle);
  const drawer = new Drawer(toggle);
  at("dock").before(drawer.element);
}

class Drawer {
  element = element("aside", "faults");
  #toggle;
  #rows = new Map(); // by fault
  #list = element("ul", "faults-list");
  #said = element("p", "faults-said");
  #fired = element("ol", "faults-fired");
  #clear = button("quiet", "Take back");
  #latest = null; // what is shown of what happened
  #looking = null;

  constructor(toggle) {
    this.#toggle = toggle;
    this.element.id = "faults";
    this.element.hidden = true;
    this.element.setAttribute("aria-label", "Faults");
    this.#said.setAttribute("role", "status");
    const close = button("quiet", "Close");
    close.setAttribute("aria-label", "Close the faults");
    const head = element("div", "faults-head");
    head.append(element("h2", "", "Break something"), close);
    const news = element("section", "faults-news");
    news.setAttribute("aria-label", "What happened");
    news.tabIndex = 0; // it scrolls, also for those who have no pointer
    const over = element("div", "faults-head");
    over.append(element("h3", "", "What happened"), this.#clear);
    news.append(over, this.#said, this.#fired);
    this.element.append(head, this.#list, news);
    toggle.onclick = () => (this.element.hidden ? this.#open() : this.#close());
    close.onclick = () => this.#close();
    this.#clear.onclick = () => this.#order("clear");
    this.element.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // outside, Escape stops a run
      this.#close();
    };
  }

  #open() {
    this.#become(true);
    this.#looking = setInterval(() => void this.#look(), LOOK_MS);
    void this.#look().then(() => this.#list.querySelector("button")?.focus());
  }

  #close() {
    clearInterval(this.#looking);
    this.#become(false);
    this.#toggle.focus();
  }

  #become(open) {
    this.element.hidden = !open;
    document.body.classList.toggle("with-faults", open);
    this.#toggle.setAttribute("aria-expanded", String(open));
  }

  async #look() {
    await this.#ask({});
  }

  async #order(fault) {
    const body = JSON.stringify({ fault });
    await this.#ask({ method: "POST", headers: { "Content-Type": "application/json" }, body });
  }

  /** Asks the switch, and shows what it says. */
  async #ask(request) {
    let reply, standing;
    try {
      reply = await fetch("/faults", { ...request, signal: AbortSignal.timeout(ANSWER_MS) });
      standing = await reply.json();
    } catch {
      write(this.#said, OUT_OF_REACH);
      return;
    }
    if (!reply.ok) write(this.#said, standing.message ?? `The server said ${reply.status}.`);
    else {
      const isNews = this.#show(standing);
      if (standing.says) write(this.#said, standing.says);
      else if (isNews || this.#said.textContent === OUT_OF_REACH) write(this.#said, "");
    }
  }

  /** Returns whether something has happened since it was last shown. */
  #show({ faults, armed, fired }) {
    for (const fault of faults) this.#row(fault).show(Object.hasOwn(armed, fault.name));
    this.#clear.disabled = Object.keys(armed).length === 0;
    const latest = JSON.stringify(fired);
    if (latest === this.#latest) return false;
    this.#latest = latest;
    this.#fired.replaceChildren(...[...fired].reverse().map(line));
    return true;
  }

  #row(fault) {
    if (!this.#rows.has(fault.name)) {
      const row = new Row(fault, (name) => void this.#order(name));
      this.#rows.set(fault.name, row);
      this.#list.append(row.element);
    }
    return this.#rows.get(fault.name);
  }
}

class Row {
  element = element("li", "fault");
  #button = button("retry");
  #fault;
  #armed = false;

  constructor(fault, order) {
    this.#fault = fault;
    this.#button.onclick = () => order(this.#thaws ? "thaw_model" : fault.name);
    const words = element("p");
    words.id = `fault-${fault.name}`;
    words.append(fault.does, " ", element("span", "what", fault.see));
    this.#button.setAttribute("aria-describedby", words.id);
    this.element.append(this.#button, words);
  }

  get #thaws() {
    return this.#armed && this.#fault.name === "freeze_model";
  }

  show(armed) {
    this.#armed = armed;
    this.element.classList.toggle("armed", armed);
    const waiting = armed ? `${this.#fault.title} (waiting)` : this.#fault.title;
    write(this.#button, this.#thaws ? "Thaw the model" : waiting);
  }
}

function line({ time, says }) {
  const shown = element("li");
  const when = element("time", "time", new Date(time).toLocaleTimeString([], { hour12: false }));
  when.dateTime = time;
  shown.append(when, " ", element("span", "", says));
  return shown;
}

function styled() {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = "/assets/faults.css";
  const read = new Promise((resolve) => {
    sheet.onload = sheet.onerror = resolve;
  });
  document.head.append(sheet);
  return read;
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function button(className, text = "") {
  const made = element("button", className, text);
  made.type = "button";
  return made;
}

function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
