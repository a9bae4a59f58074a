/** One question and its answer, from the first token to the end. */

import { copyButton, element, fill } from "./dom.js";
import { markdown } from "./markdown.js";
import { level, percent, plural } from "./record.js";
import { bar, Solutions, solutionText } from "./solutions.js";

/** Parts of an answer, in their order. */
const PARTS = ["head", "line", "meaning", "body", "answers", "foot"];

export class Exchange {
  #parts = Object.fromEntries(PARTS.map((name) => [name, element("div", name)]));
  #how = element("details", "how", element("summary", "", "How it got there"));
  #why = element("div", "words");
  #solutions;
  #begun = performance.now();

  /** @param {string} question */
  constructor(question) {
    this.question = question;
    /** @type {import("./record.js").SearchRecord | null} */
    this.record = null;
    const list = element("ol", "solutions");
    this.#solutions = new Solutions(list);
    this.#how.append(this.#why, list);
    this.#how.hidden = true;
    const answer = element("div", "answer", ...Object.values(this.#parts), this.#how);
    this.element = element("article", "", element("h2", "question", question), answer);
    this.say("Waiting for a free place…");
  }

  /** Show a line instead of the facts. */
  say(text) {
    fill(this.#parts.foot, element("p", "words", text));
  }

  /** Draw the record as it is. */
  draw() {
    const { record } = this;
    // Between two events time goes on.
    if (!record.ended) record.seconds = Math.max(record.seconds, (performance.now() - this.#begun) / 1000);
    const { answer, confidence, solution, ended } = record;
    const sure = confidence?.calibrated && answer !== null ? confidence.median : null;
    const { head, line, meaning, body, answers, foot } = this.#parts;
    this.element.className = `${record.kind} ${ended ? "ended" : "running"} ${sure === null ? "" : `sure-${level(sure)}`}`;
    fill(head, ...(answer === null ? [] : headline(record)));
    fill(line, ...(sure === null ? [] : [bar(sure), element("b", "", sureText(record))]),
      ...(answer === null ? [] : [element("span", "words", `${agreement(record)} · ${time(record)}`)]));
    fill(meaning, ...(ended && answer !== null ? [element("p", "words", whatItMeans(record))] : []));
    fill(body, ...(solution ? shown(record, solution) : []));
    fill(answers, ...rivals(record, sure));
    fill(foot, ...footer(record));
    this.#how.hidden = record.kind === "text" || (record.nodes.length === 1 && !ended);
    if (this.#how.hidden) return;
    fill(this.#why, why(record).join(" "));
    this.#solutions.draw(record);
  }
}

/** The messages of an exchange, as the history of the next one has them. */
export function messages({ question, record }) {
  const { solution, answer } = record;
  const text = solution?.text.trim() ?? "";
  const printed = solution?.execution?.output.trim();
  const content = printed ? `${text}\n\nIt prints ${printed}.` : text || (answer && shownAnswer(record));
  return content ? [{ role: "user", content: question }, { role: "assistant", content }] : [];
}

/** What is told to those who do not see the page. */
export function spoken(record) {
  if (record.answer === null) return record.solution?.text.trim() ?? "No answer";
  const sure = record.confidence?.calibrated ? `, ${sureText(record)}` : "";
  return `${isGuess(record) ? "I don't know. Best guess: " : "Answer: "}${shownAnswer(record)}${sure}`;
}

const KINDS = {
  value: "a question for a value",
  choice: "a choice",
  "yes-no": "a question for yes or no",
  fact: "a question for a fact",
};

/** Characters of an answer that is shown as large as a number. */
const SHORT = 30;

/** A probability below which an answer is called a guess, as on the terminal. */
const UNLIKELY = 0.2;

function isGuess({ result, confidence }) {
  return result?.stop_reason === "hopeless" || Boolean(result && confidence?.calibrated && confidence.median < UNLIKELY);
}

function headline(record) {
  const text = rounded(shownAnswer(record));
  const answer = element("strong", "", text);
  const large = element("p", text.length > SHORT ? "large long" : "large", answer);
  if (!record.ended) return [large];
  const copy = copyButton(shownAnswer(record));
  if (!isGuess(record)) return [large, copy];
  return [element("p", "large", "I don't know"), element("p", "", "My best guess is ", answer), copy];
}

/** The answer as a reader wants it: of an option its text, too. */
function shownAnswer(record) {
  return optionText(record, record.answer);
}

/** `B. in a bank`, `Yes`; other answers as they are. */
function optionText({ kind, details }, name) {
  if (kind === "yes-no") return name[0].toUpperCase() + name.slice(1);
  const at = details.letters?.indexOf(name) ?? -1;
  return at < 0 ? name : `${name}. ${details.texts[at]}`;
}

/**
 * A number of many digits with four of them, two behind the point at least; what is copied has all. One that
 * would look whole stays (0.99999), unless it has as many digits as a floating-point error.
 */
function rounded(answer) {
  return answer.replace(/(?<![\w.])\d+\.(\d{5,})(?![\w.])/g, (digits, decimals) => {
    const value = Number(digits);
    const short =
      value < 1 ? String(Number(value.toPrecision(4))) : value.toFixed(Math.max(2, 4 - digits.indexOf(".")));
    const looksWhole = Number.isInteger(Number(short)) && !Number.isInteger(value);
    return looksWhole && decimals.length < 12 ? digits : short;
  });
}

/** `96 % sure`, or `about 80 % sure` where the number is a rough one. */
function sureText({ confidence, level }) {
  const about = level === "portable" ? "about " : "";
  return `${about}${percent(confidence.median)} sure`;
}

function shown(record, solution) {
  if (solution.thinks) return [element("p", "words", "Thinking…")];
  if (record.kind === "text") return [markdown(solution.text)];
  const text = record.answer === null ? solution.text.trim() : reasons(solution.text, record);
  if (!text) return [];
  const parts = solutionText({ ...solution, text });
  return record.answer === null && !record.ended ? [element("div", "draft", ...parts)] : parts;
}

/** A solution without the line that repeats the answer, which stands above it; empty if that was all. */
function reasons(text, record) {
  const rest = text.replace(/(?:^|\n)\W*(?:final )?answer\W[^\n]*\s*$/i, "").trim();
  return rest.replace(/^[\s*]+|[\s.*]+$/g, "") === shownAnswer(record) ? "" : rest;
}

function agreement({ leading, finished }) {
  if (finished === 0) return "read from the options";
  if (finished === 1 && leading.length === 1) return "1 solution";
  return `${leading.length} of ${plural(finished, "solution")} agree`;
}

function whatItMeans({ confidence, level }) {
  if (!confidence?.calibrated) return "No probability: this model has no calibration, so only agreement counts.";
  if (level !== "fitted") return "A rough estimate: how often this model is right was never measured.";
  const right = Math.round(100 * confidence.median);
  return `Of 100 answers shown with this number, about ${right} are correct.`;
}

/** What else could be the answer: the options with their bars, or all answers with their votes. */
function rivals(record, sure) {
  const { options, groups, finished, answer } = record;
  const votes = (name) => groups.find((group) => group.answer === name)?.nodes.length ?? 0;
  const names = Object.keys(options);
  if (names.length) {
    return [element("ol", "options", ...names.map((name) =>
      row(name === answer, optionText(record, name), votes(name), bar(options[name]), percent(options[name]))))];
  }
  if (groups.length < 2) return [];
  const rows = groups.map((group, at) =>
    row(at === 0, rounded(group.answer), group.nodes.length, "", at === 0 && sure !== null ? percent(sure) : ""));
  const without = finished - groups.reduce((sum, { nodes }) => sum + nodes.length, 0);
  if (without > 0) rows.push(row(false, element("span", "words", "no answer"), without, "", ""));
  return [element("ol", "", ...rows)];
}

function row(isWinner, answer, votes, middle, sure) {
  const dots = element("span", "votes", "●".repeat(Math.min(votes, 10)));
  dots.setAttribute("aria-hidden", "true");
  return element("li", isWinner ? "winner" : "", element("strong", "", answer), dots,
    element("span", "words", votes ? plural(votes, "solution") : ""), middle, element("b", "", sure));
}

/** Where there is no answer, what copies the text and what it cost; while it runs, how far it is. */
function footer(record) {
  const { answer, solution, ended } = record;
  if (!ended) return [element("p", "words", progress(record))];
  if (answer !== null) return [];
  const why = record.kind === "text" ? [] : [noAnswer(record)];
  const copy = solution?.text.trim() ? [copyButton(solution.text.trim())] : [];
  return [...copy, element("p", "words", [...why, cost(record)].join(" · "))];
}

function noAnswer({ finished }) {
  return finished ? `No answer that can be compared in ${plural(finished, "solution")}` : "Stopped before a solution was finished";
}

/** `2 of up to 16 solutions · 804 tokens · 12 s`. */
function progress(record) {
  const { finished, params, written, answer } = record;
  if (!record.modes.size) return "Reading the question…";
  if (record.kind === "text") return cost(record);
  const most = params.samples > 1 ? ` of up to ${plural(params.samples, "solution")}` : "";
  if (!finished) return `Writing the first${most || " solution"} · ${cost(record)}`;
  const done = most ? `${finished}${most}` : plural(finished, "solution");
  return `${done} · ${answer === null ? cost(record) : plural(written, "token")}`;
}

function cost(record) {
  return `${plural(record.written, "token")} · ${time(record)}`;
}

function time({ seconds }) {
  if (seconds < 119.5) return `${seconds < 0.95 ? seconds.toFixed(1) : Math.round(seconds)}\u00a0s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}\u00a0min`;
}

function why(record) {
  const { result, confidence, notices } = record;
  const said = record.why ? [`It was taken for ${KINDS[record.kind]}, as ${record.why}.`] : [];
  if (result) said.push(whyItStopped(record));
  if (result && confidence?.calibrated) {
    const [from, to] = [confidence.lower, confidence.upper].map((each) => Math.round(100 * each));
    said.push(`The likely range of its probability is ${from} to ${to}\u00a0%.`);
  }
  if (record.nodes.length > 1) said.push(`${plural(record.written, "token")} in all.`);
  if (record.nodes.length > 1 && confidence?.calibrated) said.push("A bar is the estimate that a solution is correct.");
  return [...said, ...notices];
}

function whyItStopped({ result, confidence, params, finished }) {
  if (finished === 0 && result.answer !== null) return "It read the options; no solution was worth writing.";
  switch (result.stop_reason) {
    case "confident":
      return confidence?.calibrated && params.stop_at
        ? `It stopped because it was ${percent(params.stop_at)} sure.`
        : "It stopped because the votes decided.";
    case "settled":
      return "It stopped because another solution would hardly change the answer.";
    case "hopeless":
      return "It gave up because more solutions would hardly help.";
    case "budget":
      return "It stopped because the budget was spent.";
    case "interrupted":
      return "You stopped it.";
    default:
      return `It stopped after all ${plural(finished, "solution")}.`;
  }
}
