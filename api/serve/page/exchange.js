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
    const { answer, confidence, solution, ended } = record;
    const sure = confidence?.calibrated && answer !== null ? confidence.median : null;
    const { head, line, meaning, body, answers, foot } = this.#parts;
    this.element.className = `${record.kind} ${ended ? "ended" : "running"} ${sure === null ? "" : `sure-${level(sure)}`}`;
    fill(head, ...(answer === null ? [] : headline(record)));
    fill(line, ...(sure === null ? [] : [bar(sure), element("b", "", `${percent(sure)} sure`)]),
      ...(answer === null ? [] : [element("span", "words", `${agreement(record)} · ${time(record)}`)]));
    fill(meaning, ...(ended && answer !== null ? [element("p", "words", whatItMeans(record))] : []));
    fill(body, ...(solution ? shown(record, solution) : []));
    fill(answers, ...(record.groups.length > 1 ? [answerList(record, sure)] : []));
    fill(foot, ...footer(record));
    this.#how.hidden = record.kind === "text" || record.nodes.length === 1;
    if (this.#how.hidden) return;
    fill(this.#why, ...why(record).map((each) => element("p", "", each)));
    this.#solutions.draw(record);
  }
}

/** The messages of an exchange, as the history of the next one has them. */
export function messages({ question, record }) {
  const { solution, answer } = record;
  const text = solution?.text.trim() ?? "";
  const code = solution && solution.mode !== "prose" ? `\`\`\`python\n${text}\n\`\`\`\n` : text;
  const said = answer === null || text.includes(answer) ? code : `${code}\n\nAnswer: ${answer}`;
  return text ? [{ role: "user", content: question }, { role: "assistant", content: said.trim() }] : [];
}

/** What is told to those who do not see the page. */
export function spoken(record) {
  if (record.answer === null) return record.solution?.text.trim() ?? "No answer";
  const { confidence } = record;
  const sure = confidence?.calibrated ? `, ${percent(confidence.median)} sure` : "";
  return `${isGuess(record) ? "I don't know. Best guess: " : "Answer: "}${record.answer}${sure}`;
}

/** A probability below which an answer is called a guess, as on the terminal. */
const UNLIKELY = 0.2;

function isGuess({ result, confidence }) {
  return result?.stop_reason === "hopeless" || Boolean(result && confidence?.calibrated && confidence.median < UNLIKELY);
}

function headline(record) {
  const answer = element("strong", "", rounded(record.answer));
  if (!record.ended) return [element("p", "large", answer)];
  const copy = copyButton(record.answer);
  if (!isGuess(record)) return [element("p", "large", answer), copy];
  return [element("p", "large", "I don't know"), element("p", "", "My best guess is ", answer), copy];
}

/** A number of many digits with six of them; what is copied has all. */
function rounded(answer) {
  return /^-?\d+\.\d{5,}$/.test(answer) ? `≈ ${Number(Number(answer).toPrecision(6))}` : answer;
}

function shown(record, solution) {
  if (solution.thinks) return [element("p", "words", "Thinking…")];
  const parts = record.kind === "text" ? [markdown(solution.text)] : solutionText(solution);
  return record.answer === null && !record.ended && record.kind !== "text" ? [element("div", "draft", ...parts)] : parts;
}

/** Where there is no answer, what copies the text and what it cost; while it runs, how far it is. */
function footer(record) {
  const { answer, solution, ended } = record;
  if (!ended) return [element("p", "words", progress(record))];
  if (answer !== null) return [];
  const said = record.kind === "text" ? cost(record) : `No answer to compare in ${plural(record.finished, "solution")} · ${cost(record)}`;
  return [...(solution ? [copyButton(solution.text.trim())] : []), element("p", "words", said)];
}

function agreement({ groups, finished }) {
  if (finished === 1) return "1 solution";
  return `${groups[0]?.nodes.length ?? 0} of ${plural(finished, "solution")} agree`;
}

function whatItMeans({ confidence, level, finished }) {
  if (!confidence?.calibrated) return "No probability: this model has no calibration, so only agreement counts.";
  if (level !== "fitted") return "A rough estimate: how often this model is right was never measured.";
  const right = Math.round(100 * confidence.median);
  return `Of 100 answers shown with this number, about ${right} are correct.`;
}

/** All answers, the leading one first, each with its votes. */
function answerList({ groups, finished }, sure) {
  const rows = groups.map(({ answer, nodes }, at) =>
    row(rounded(answer), nodes.length, at === 0 && sure !== null ? percent(sure) : "", at === 0 ? "winner" : ""));
  const without = finished - groups.reduce((sum, { nodes }) => sum + nodes.length, 0);
  if (without > 0) rows.push(row("no answer", without, "", "none"));
  return element("ol", "", ...rows);
}

function row(answer, votes, sure, className) {
  const dots = element("span", "votes", "●".repeat(Math.min(votes, 20)));
  dots.setAttribute("aria-hidden", "true");
  const words = element("span", "words", plural(votes, "solution"));
  return element("li", className, element("strong", "", answer), dots, words, element("b", "", sure));
}

/** `2 of up to 16 solutions · 804 tokens · 12 s`. */
function progress(record) {
  if (record.kind === "text") return cost(record);
  const most = record.params.samples ? ` of up to ${record.params.samples}` : "";
  const done = most ? `${record.finished}${most} solutions` : plural(record.finished, "solution");
  return `${done} · ${cost(record)}`;
}

function cost(record) {
  return `${plural(record.written, "token")} · ${time(record)}`;
}

function time({ seconds }) {
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}\u00a0s`;
}

function why(record) {
  const { result, confidence, notices } = record;
  const said = record.why ? [`Taken for a ${record.kind.replace("-", " or ")} question: ${record.why}.`] : [];
  if (result) said.push(whyItStopped(record));
  if (result && confidence?.calibrated) {
    const [from, to] = [confidence.lower, confidence.upper].map((each) => Math.round(100 * each));
    said.push(`The likely range of its probability is ${from} to ${to}\u00a0%.`);
  }
  return [...said, `${plural(record.written, "token")} in all. A bar is the estimate that a solution is correct.`, ...notices];
}

function whyItStopped({ result, confidence, params, finished }) {
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
