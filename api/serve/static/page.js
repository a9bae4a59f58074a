/** The conversation: what is asked, what comes back, and which chat is shown. */

import { element } from "./dom.js";
import { Exchange, messages, spoken } from "./exchange.js";
import { chats, forget, keep } from "./history.js";
import { SearchRecord } from "./record.js";
import { end, modelName, RefusedError, search } from "./stream.js";

const DRAW_MS = 100;
const KEY = "adascale.key";
const EXAMPLES = [
  ["A sum", "A baker has 3 trays of 12 rolls. She sells 20 and then bakes half as many as she has left. How many rolls does she have now?"],
  ["A choice", "Where is money kept safe?\n(A) on a bench\n(B) in a bank\n(C) in a river"],
  ["A text", "Write a haiku about autumn."],
];

const at = (id) => document.getElementById(id);
const form = at("form");
const field = form.elements.question;

/** The chat that is shown: its exchanges that have ended, and their events. */
let chat;
/** The search that runs; null between two. */
let running = null;

async function ask(question) {
  if (running || !question.trim()) return;
  const exchange = new Exchange(question.trim());
  const history = chat.exchanges.flatMap(messages);
  running = { exchange, breakOff: new AbortController(), timer: setInterval(drawAtEnd, DRAW_MS, exchange) };
  begin(exchange);
  const events = [];
  try {
    const effort = form.elements.effort.value || undefined;
    const body = { question: exchange.question, history, effort };
    for await (const event of search(body, key(), running.breakOff.signal, sayLoading)) {
      events.push(event);
      take(exchange, event);
    }
    if (!exchange.record?.ended) throw new Error("The server broke off; ask again.");
    if (exchange.record.error) throw new Error(exchange.record.error);
    remember(key());
    chat.exchanges.push(exchange);
    chat.searches.push(events);
    keep(chat);
    at("said").textContent = spoken(exchange.record);
  } catch (error) {
    giveBack(exchange, error);
  } finally {
    clearInterval(running.timer);
    running = null;
    setRunning(false);
    drawAtEnd(exchange);
  }
}

function begin(exchange) {
  at("error").textContent = at("said").textContent = "";
  field.value = "";
  resize();
  show(exchange);
  setRunning(true);
  exchange.element.scrollIntoView();
}

function take(exchange, event) {
  if (event.kind === "search_started") {
    exchange.record = new SearchRecord(event);
    at("model").textContent = event.models.generator?.name ?? "";
  } else {
    exchange.record.add(event);
  }
}

/** Draw what has come, and go on showing the end to who looks at it. */
function drawAtEnd(exchange) {
  if (!exchange.record) return;
  const page = document.documentElement;
  const isAtEnd = page.scrollHeight - page.scrollTop - innerHeight < 40;
  exchange.draw();
  if (isAtEnd) page.scrollTop = page.scrollHeight;
}

/** After an error: the question goes back to the field, unless an answer has begun. */
function giveBack(exchange, error) {
  const isKey = error instanceof RefusedError && error.status === 401;
  const { record } = exchange;
  if (record?.solution && !record.error) {
    record.error = error.message;
  } else {
    exchange.element.remove();
    exchange.record = null;
    field.value = exchange.question;
    resize();
    if (!at("chat").children.length) at("welcome").hidden = false;
  }
  at("key").hidden = at("key").hidden && !isKey;
  (isKey ? form.elements.key : field).focus();
  if (error.name === "AbortError") return;
  at("error").textContent = error instanceof TypeError ? `The server cannot be reached: ${error.message}` : error.message;
}

/** End the search with what it has found; one that has not begun is broken off. */
function stop() {
  if (running?.exchange.record) end(running.exchange.record.id, key());
  else running?.breakOff.abort();
}

function sayLoading() {
  running.exchange.say("The server loads its model…");
}

function setRunning(isRunning) {
  at("ask").hidden = isRunning;
  at("stop").hidden = !isRunning;
  at("new").disabled = isRunning;
  at("chat").setAttribute("aria-busy", isRunning);
}

// Chats

function show(exchange) {
  at("welcome").hidden = true;
  at("new").hidden = false;
  at("chat").append(exchange.element);
}

function openChat({ id, searches } = { id: crypto.randomUUID?.() ?? String(Math.random()), searches: [] }) {
  if (running) return;
  chat = { id, searches, exchanges: searches.map(replayed) };
  at("chat").replaceChildren();
  at("error").textContent = "";
  at("welcome").hidden = false;
  at("new").hidden = true;
  listChats();
  for (const exchange of chat.exchanges) show(exchange);
  field.focus();
}

function replayed([started, ...events]) {
  const record = new SearchRecord(started);
  for (const event of events) record.add(event);
  const exchange = new Exchange(record.question);
  exchange.record = record;
  exchange.draw();
  return exchange;
}

function listChats() {
  const all = chats();
  at("earlier").hidden = all.length === 0;
  at("chats").replaceChildren(...all.map((kept) => {
    const button = element("button", "", kept.searches[0][0].problem.question);
    button.type = "button";
    button.addEventListener("click", () => openChat(kept));
    return element("li", "", button);
  }));
}

// The key

function key() {
  return form.elements.key.value || stored() || "";
}

/** The key that this tab remembers; none where the browser keeps nothing. */
function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // It is asked for again.
  }
}

// The field

/** As high as its text, where the browser cannot do it by itself. */
function resize() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(field.value);
});
field.addEventListener("input", resize);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) form.requestSubmit();
});
at("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => event.key === "Escape" && stop());
at("new").addEventListener("click", () => openChat());
at("clear").addEventListener("click", () => {
  forget();
  listChats();
  field.focus();
});
at("examples").append(...EXAMPLES.map(([name, question]) => {
  const button = element("button", "", element("b", "", name), question);
  button.type = "button";
  button.addEventListener("click", () => ask(question));
  return element("li", "", button);
}));
openChat();
modelName(key()).then((name) => (at("model").textContent = name));
