/** The form, the answer, and what is redrawn when. */

import { forget, keep, searches } from "./history.js";
import { chance, estimateText, plural, SearchRecord } from "./record.js";
import { end, modelName, RefusedError, search } from "./stream.js";
import { element, TreeView } from "./tree.js";

const DRAW_MS = 100;
const KEY = "adascale.key";

const at = (id) => document.getElementById(id);
const form = at("form");
const tree = new TreeView(at("tree"));

/** The search that runs; null between two. */
let running = null;

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

async function ask() {
  const { question, effort, max_tokens } = form.elements;
  if (running || !question.value.trim()) return;
  const body = { question: question.value };
  if (effort.value) body.effort = effort.value;
  if (max_tokens.value) body.max_tokens = max_tokens.valueAsNumber;
  begin(question.value.trim());
  const events = [];
  try {
    for await (const event of search(body, key(), running.breakOff.signal, sayLoading)) {
      events.push(event);
      if (event.kind === "search_started") start(event);
      else running.record.add(event);
      drawSoon();
    }
    if (!running.record?.ended) throw new TypeError("the server broke off");
    remember(key());
    if (running.record.result) keep(running.record, events);
  } catch (error) {
    showError(error);
  } finally {
    finish();
  }
}

function begin(question) {
  running = { record: null, timer: null, breakOff: new AbortController() };
  for (const id of ["error", "answer", "answers"]) at(id).replaceChildren();
  show(at("asked"), question);
  tree.clear();
  at("search").hidden = true;
  setRunning(true);
  say("Waiting for a place in the batch...");
}

function start(event) {
  running.record = new SearchRecord(event);
  at("model").textContent = event.models.generator?.name ?? "";
}

function finish() {
  clearTimeout(running.timer);
  const { record } = running;
  running = null;
  setRunning(false);
  if (record) {
    record.running.clear();
    draw(record);
  }
  say("");
  listSearches();
}

function setRunning(isRunning) {
  at("ask").hidden = isRunning;
  at("stop").hidden = !isRunning;
  form.setAttribute("aria-busy", isRunning);
}

function showError(error) {
  if (error.name === "AbortError") return;
  const isKey = error instanceof RefusedError && error.status === 401;
  at("key").hidden = at("key").hidden && !isKey;
  if (isKey) form.elements.key.focus();
  at("error").textContent = error instanceof TypeError ? `The server cannot be reached: ${error.message}` : error.message;
}

/** Draw what has come, some times a second at most. */
function drawSoon() {
  running.timer ??= setTimeout(() => {
    running.timer = null;
    draw(running.record);
  }, DRAW_MS);
}

function draw(record) {
  at("search").hidden = record.nodes.length === 1 && record.running.size === 0;
  tree.draw(record);
  if (record.ended) showEnd(record);
  else say(progress(record));
}

/** `3 of 16 solutions, 1 being written, 804 tokens, 12 s; 24 leads with p .91 (.70-.98)`. */
function progress(record) {
  const most = record.params.samples ? ` of ${record.params.samples}` : "";
  const facts = [
    `${record.finished}${most} solutions`,
    `${record.running.size} being written`,
    cost(record),
  ];
  const { answer, confidence } = record;
  if (record.isChat) return cost(record);
  if (answer === null) return facts.join(", ");
  return `${facts.join(", ")}; ${answer} leads${confidence ? ` with ${estimateText(confidence)}` : ""}`;
}

function showEnd(record) {
  at("error").textContent = record.error ?? "";
  if (record.error) return;
  if (record.isChat) {
    at("answer").replaceChildren(element("p", "reply", reply(record)), element("p", "words", cost(record)));
    return;
  }
  at("answer").replaceChildren(
    element("strong", record.answer === null || isGuess(record) ? "low" : "", answerText(record)),
    element("p", "", certainty(record)),
    element("p", "words", [why(record), ...record.notices].join(" ")),
  );
  const others = record.groups.slice(1);
  at("answers").hidden = others.length === 0;
  at("answers").replaceChildren(
    ...others.flatMap(({ answer, nodes }) => [element("dt", "", answer), element("dd", "", plural(nodes.length, "solution"))]),
  );
}

/** The text of the only solution. */
function reply({ nodes, bestPath }) {
  return nodes.filter(({ id, isThought }) => bestPath.has(id) && !isThought).map(({ text }) => text).join("").trim();
}

function cost({ tokens, seconds }) {
  return `${plural(tokens, "token")}, ${Math.round(seconds)} s`;
}

/** A probability below which an answer is called a guess, as on the terminal. */
const UNLIKELY = 0.2;

function isGuess({ result, confidence }) {
  return result.stop_reason === "hopeless" || Boolean(confidence?.calibrated && confidence.median < UNLIKELY);
}

function answerText(record) {
  if (record.answer === null) return "No checkable answer";
  return isGuess(record) ? `I don't know; best guess ${record.answer}` : record.answer;
}

/** How likely the answer is, and who agrees; a score is never called a probability. */
function certainty(record) {
  const { confidence, groups, finished } = record;
  if (!groups.length) return `${plural(finished, "solution")}, none with an answer to compare; ${cost(record)}`;
  const votes = `${groups[0].nodes.length} of ${plural(finished, "solution")} agree`;
  if (!confidence) return `${votes}; ${cost(record)}`;
  const { calibrated, lower, median, upper } = confidence;
  if (!calibrated) return `Score ${chance(median)}, not a probability; ${votes}; ${cost(record)}`;
  return `Correct with probability ${chance(median)} (${chance(lower)} to ${chance(upper)}); ${votes}; ${cost(record)}`;
}

function why({ result, confidence, params, finished }) {
  switch (result.stop_reason) {
    case "confident":
      return confidence?.calibrated && params.stop_at
        ? `Stopped: the probability reached ${chance(params.stop_at)}.`
        : "Stopped: the votes decided.";
    case "settled":
      return "Stopped: more solutions would hardly change it.";
    case "hopeless":
      return "Given up: more solutions would hardly help. Take the answer for a guess.";
    case "budget":
      return "Stopped: the budget is spent.";
    case "interrupted":
      return "Stopped by you.";
    default:
      return `Stopped: all ${plural(finished, "solution")} are drawn.`;
  }
}

function listSearches() {
  const all = searches();
  at("history").hidden = all.length === 0;
  at("searches").replaceChildren(
    ...all.map((kept) => {
      const button = element("button");
      button.type = "button";
      const isChat = kept.events[0].problem.kind === "text";
      button.append(element("strong", "", kept.answer ?? (isChat ? "" : "no answer")), ` ${kept.question}`);
      button.addEventListener("click", () => showAgain(kept));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
}

function showAgain({ question, events }) {
  if (running) return;
  begin(question);
  const [started, ...others] = events;
  running.record = new SearchRecord(started);
  for (const event of others) running.record.add(event);
  finish();
  at("asked").scrollIntoView();
}

/** End the search with what it has found; one that has not begun is broken off. */
function stop() {
  if (running?.record) end(running.record.id, key());
  else running?.breakOff.abort();
}

function sayLoading() {
  say("The server loads its models...");
}

function say(text) {
  at("progress").textContent = text;
}

function show(target, text) {
  target.textContent = text;
  target.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
form.elements.question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
at("stop").addEventListener("click", stop);
at("clear").addEventListener("click", () => {
  forget();
  listSearches();
  form.elements.question.focus();
});
listSearches();
modelName(key()).then((name) => (at("model").textContent = name));
