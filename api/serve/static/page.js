/** The conversation: what is asked, what the server's chat completions say, and which chat is shown. */

import { element } from "./dom.js";
import { Exchange, chip } from "./exchange.js";

const DRAW_MS = 100;
const LOADING_MS = 1000;
const KEY = "adascale.key";
const CHATS = "adascale.chats/2";
/** The id of the chat that a tab shows, which a reload opens again. */
const CHAT = "adascale.chat";
const MOST_CHATS = 10;
/** Characters of a message with its files: with its escapes it fits into the body of a request. */
const MOST_CHARACTERS = 500_000;
const EXAMPLES = [
  ["A sum", "A baker has 3 trays of 12 rolls. She sells 20 and then bakes half as many as she has left. How many rolls does she have now?"],
  ["A choice", "Where is money kept safe?\n(A) on a bench\n(B) in a bank\n(C) in a river"],
  ["A text", "Write a haiku about autumn."],
];

const at = (id) => document.getElementById(id);
const form = at("form");
const field = form.elements.question;

/** The chat that is shown: its id and its exchanges that have ended. */
let chat;
/** What breaks off the request that runs; null between two. */
let running = null;
/** The id of the search that runs. */
let search = "";
/** The exchange whose question is in the field again: it and those below go when that is sent; null if there is none. */
let edited = null;
/** Names, sizes and texts of the files that go with the question. */
let files = [];
let loading = false;

async function ask(question, effort = form.elements.effort.value) {
  if (loading) return put(question, files);
  if (running || !question.trim()) return;
  const exchange = new Exchange({ question: question.trim(), files, effort });
  const [before, replaced] = [chat.exchanges, edited];
  edit(null);
  if (replaced) chat.exchanges = before.slice(0, before.indexOf(replaced));
  for (const each of before.slice(chat.exchanges.length)) each.element.remove();
  const messages = [...chat.exchanges.flatMap((each) => each.messages), { role: "user", content: exchange.asked }];
  running = new AbortController();
  const timer = setInterval(drawAtEnd, DRAW_MS, exchange);
  const stop = () => finish(exchange, true);
  addEventListener("pagehide", stop); // a reload loses no question
  begin(exchange);
  try {
    const body = { messages, stream: true, reasoning_effort: effort || undefined };
    for await (const chunk of chunks(body, running.signal)) {
      if (chunk.error) throw new Error(chunk.error.message);
      exchange.add(chunk);
      search = chunk.id?.replace("chatcmpl-", "");
      if (chunk.model) at("model").textContent = chunk.model;
    }
    if (!exchange.ended) throw new Error("The server broke off; ask again.");
    finish(exchange);
  } catch (error) {
    if (error.name === "AbortError" && (exchange.content || exchange.reasoning || field.value.trim())) {
      finish(exchange, true);
    } else {
      for (const each of before.slice(chat.exchanges.length)) show(each);
      chat.exchanges = before;
      edit(replaced);
      giveBack(exchange, error);
    }
  } finally {
    clearInterval(timer);
    removeEventListener("pagehide", stop);
    running = null;
    setRunning(false);
    drawAtEnd(exchange);
  }
}

/** The chunks of a chat completion, as they come. */
async function* chunks(body, signal) {
  const headers = { "Content-Type": "application/json", "X-Adascale-Plain": "1", ...authorization() };
  const response = await fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body), signal });
  if (response.ok) return yield* events(response.body);
  const { message, code } = (await response.json().catch(() => ({}))).error ?? {};
  if (code === "loading") waitForModel(); // the server was started again
  const said = message ?? `the server answers with status ${response.status}`;
  throw Object.assign(new Error(said), { status: response.status });
}

/** Say which model answers; until it is loaded, one can type and not ask. */
async function waitForModel() {
  for (;;) {
    const found = await fetch("/page/status").then((response) => response.json()).catch(() => ({}));
    loading = found.status === "loading";
    at("ask").disabled = loading;
    at("loading").textContent = loading ? `Loading ${found.model || "the model"}… You can type meanwhile.` : "";
    if (found.model && !loading) at("model").textContent = found.model;
    if (!loading) return;
    await new Promise((resolve) => setTimeout(resolve, LOADING_MS));
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
  }
}

function begin(exchange) {
  at("error").textContent = at("said").textContent = "";
  field.value = "";
  files = [];
  listFiles();
  resize();
  show(exchange);
  setRunning(true);
  exchange.element.scrollIntoView();
}

function finish(exchange, stopped = false) {
  exchange.stopped = stopped;
  store("sessionStorage", KEY, key());
  if (!chat.exchanges.includes(exchange)) chat.exchanges.push(exchange); // the browser may bring a page back
  const all = [{ id: chat.id, exchanges: chat.exchanges.map(({ kept }) => kept) }, ...chats().filter(({ id }) => id !== chat.id)];
  all.length = Math.min(all.length, MOST_CHATS);
  while (all.length && !store("localStorage", CHATS, JSON.stringify(all))) all.pop();
  at("said").textContent = exchange.spoken;
}

/** Draw what has come, and go on showing the end to who looks at it. */
function drawAtEnd(exchange) {
  const page = document.documentElement;
  const isAtEnd = page.scrollHeight - page.scrollTop - innerHeight < 40;
  exchange.draw();
  at("take").hidden = !exchange.leads;
  if (isAtEnd) page.scrollTop = page.scrollHeight;
}

/** After an error: the question goes back to the field. */
function giveBack(exchange, error) {
  const isKey = error.status === 401;
  exchange.element.remove();
  put(exchange.question, exchange.files);
  if (!at("chat").children.length) at("welcome").hidden = false;
  at("key").hidden = at("key").hidden && !isKey;
  (isKey ? form.elements.key : field).focus();
  if (error.name === "AbortError") return;
  at("error").textContent = error instanceof TypeError ? `The server cannot be reached: ${error.message}` : error.message;
}

function setRunning(isRunning) {
  at("ask").hidden = isRunning;
  at("stop").hidden = !isRunning;
  at("new").disabled = isRunning;
  at("chat").setAttribute("aria-busy", isRunning);
  at("keys").textContent = isRunning ? "Escape stops this answer, then Enter sends" : "Enter sends, Shift+Enter starts a new line";
}

// Chats: the last ones are kept in this browser alone

/** Kept chats, the newest first; none where the browser keeps nothing. */
function chats() {
  return JSON.parse(stored("localStorage", CHATS) ?? "[]");
}

function show(exchange) {
  at("welcome").hidden = true;
  at("new").hidden = false;
  at("chat").append(exchange.element);
}

function openChat({ id, exchanges } = { id: crypto.randomUUID?.() ?? String(Math.random()), exchanges: [] }) {
  if (running) return;
  store("sessionStorage", CHAT, id);
  chat = { id, exchanges: exchanges.map((each) => new Exchange(each)) };
  edit(null);
  at("chat").replaceChildren();
  at("error").textContent = "";
  at("welcome").hidden = false;
  at("new").hidden = true;
  listChats();
  for (const exchange of chat.exchanges) show(exchange);
  field.focus();
}

function listChats() {
  const all = chats();
  at("earlier").hidden = all.length === 0;
  at("chats").replaceChildren(...all.map((kept) => item(() => openChat(kept), kept.exchanges[0].question)));
}

function item(onClick, ...contents) {
  const button = element("button", "", ...contents);
  button.type = "button";
  button.addEventListener("click", onClick);
  return element("li", "", button);
}

// The key, which this tab remembers, and other things that a browser may refuse to keep

function key() {
  return form.elements.key.value || stored("sessionStorage", KEY) || "";
}

function authorization() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}

function stored(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

function store(storage, name, value) {
  try {
    window[storage].setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

// The field

/** Put the question of an exchange into the field again; null takes it out. */
function edit(exchange) {
  if (edited || exchange) put(exchange?.question ?? "", exchange?.files);
  edited = exchange;
  for (const { element: shown } of chat.exchanges) {
    const isEdited = shown === edited?.element;
    shown.classList.toggle("edited", isEdited);
    shown.querySelector(".edit").textContent = isEdited ? "Cancel" : "Edit";
  }
}

/** Put a question and its files into the field. */
function put(text, withFiles = []) {
  field.value = text;
  files = withFiles;
  listFiles();
  resize();
  field.blur();
  field.focus(); // scrolls to the caret
}

function listFiles() {
  at("files").replaceChildren(...files.map((file) => {
    const remove = element("button", "quiet", "×");
    remove.type = "button";
    remove.ariaLabel = `Remove ${file.name}`;
    remove.addEventListener("click", () => put(field.value, files.filter((each) => each !== file)));
    return chip(file, remove);
  }));
}

/** Read files, whose texts go below the question. */
async function addFiles(added) {
  at("error").textContent = "";
  try {
    for (const file of added) {
      const length = files.reduce((sum, { size }) => sum + size, field.value.length + file.size);
      if (length > MOST_CHARACTERS) throw new Error(`${file.name} is too long: a question and its files have room for ${MOST_CHARACTERS / 1000} kB.`);
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      put(field.value, [...files, { name: file.name, size: file.size, text: text.trimEnd() }]);
    }
  } catch (error) {
    at("error").textContent = error instanceof TypeError ? "Only files of text can be read." : error.message;
  }
}

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
at("stop").addEventListener("click", () => running?.abort());
at("take").addEventListener("click", () => fetch(`/page/take/${search}`, { method: "POST", headers: authorization() }));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  running?.abort();
  edit(null);
});
at("chat").addEventListener("click", ({ target }) => {
  if (running || !target.matches(".edit, .again")) return;
  const exchange = chat.exchanges.find((each) => each.element.contains(target));
  const isAgain = target.matches(".again");
  edit(exchange === edited && !isAgain ? null : exchange);
  if (isAgain) ask(exchange.question, "high");
});
form.elements.file.addEventListener("change", async ({ target }) => {
  await addFiles(target.files);
  target.value = "";
});
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault(); // the browser would leave the page for the file
    if (name === "drop") addFiles(event.dataTransfer.files);
  });
}
at("new").addEventListener("click", () => openChat());
at("clear").addEventListener("click", () => {
  store("localStorage", CHATS, "[]");
  listChats();
  field.focus();
});
at("examples").append(...EXAMPLES.map(([name, question]) => item(() => ask(question), element("b", "", name), question)));
openChat(chats().find(({ id }) => id === stored("sessionStorage", CHAT)));
waitForModel();
