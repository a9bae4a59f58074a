/** One question and its answer, from the first token to the end: a chat completion, and how it is shown. */

import { copyButton, element, fill } from "./dom.js";
import { markdown, plain } from "./markdown.js";

const PARTS = ["head", "line", "meaning", "body", "answers", "foot"];

const KINDS = {
  value: "a question for a value",
  date: "a question for a date or a time",
  choice: "a choice",
  "yes-no": "a question for yes or no",
  fact: "a question for a fact",
};

const STOPS = {
  confident: "It stopped because the votes decided.",
  settled: "It stopped because another solution would hardly change the answer.",
  hopeless: "It gave up because more solutions would hardly help.",
  budget: "It stopped because the budget was spent.",
  taken: "It stopped because you took the answer as it stood.",
};

/** A line of reasoning that says which answer leads: `24 leads: 96 % sure · 3 of 4 solutions agree`. */
const LEADS = /^(.*) leads: (?:(about )?\D?(\d+) % sure[^·]*· )?(.*)$/;

/** A line of reasoning with a step of a solution, not its end. */
const STEP = /^Solution \d+: /;
const SOLUTION = /^Solution \d+/;

/** What stands above an answer that is not known, and the line below a solution that repeats the answer. */
const GUESS = "I don't know; this is the best guess.\n\n";
const LAST_LINE = /(?:^|\n+)Answer: (.*)\s*$/;

/** A probability below which an answer is called a guess, as on the terminal. */
const UNLIKELY = 0.2;

/** Characters of an answer that is shown as large as a number. */
const SHORT = 30;

/** Characters from which on a question may be higher than its box. */
const LONG = 300;

export class Exchange {
  #parts = Object.fromEntries(PARTS.map((name) => [name, element("div", name)]));
  #title = element("summary");
  #how = element("details", "how", this.#title);
  #why = element("p", "words");
  #lines = element("ol", "steps");
  #begun = performance.now();

  /**
   * @param {{question: string, files?: object[], content?: string, reasoning?: string, result?: object | null, stopped?: boolean}} kept
   *   An exchange as `kept` gives it, or a question alone.
   */
  constructor({ question, files = [], content = "", reasoning = "", result = null, stopped = false }) {
    Object.assign(this, { question, files, content, reasoning, result, stopped });
    this.#how.append(this.#why, this.#lines);
    const answer = element("div", "answer", ...Object.values(this.#parts), this.#how);
    const asked = element("h2", "question", question);
    if (question.length > LONG) asked.tabIndex = 0; // it scrolls, also by keys
    const edit = element("button", "edit quiet", "Edit");
    edit.type = "button";
    const chips = files.length ? [element("ul", "files", ...files.map((file) => chip(file)))] : [];
    this.element = element("article", "", ...chips, asked, edit, answer);
    this.draw();
  }

  /** What is stored of it. */
  get kept() {
    const { question, files, content, reasoning, result, stopped } = this;
    return { question, files, content, reasoning, result, stopped };
  }

  /** True while a search goes on that has an answer. */
  get leads() {
    return !this.ended && this.#standing().answer !== null;
  }

  get ended() {
    return this.result !== null || this.stopped;
  }

  /** The question as the model reads it: the files stand below it, under their names. */
  get asked() {
    return [this.question, ...this.files.map(({ name, text }) => `${name}:\n${text}`)].join("\n\n");
  }

  /** Its messages, as the next question's conversation has them. */
  get messages() {
    const replies = this.content ? [{ role: "assistant", content: this.content }] : [];
    return [{ role: "user", content: this.asked }, ...replies];
  }

  /** What is told to those who do not see the page. */
  get spoken() {
    const { answer, sure, isRough, isGuess } = this.#standing();
    if (answer === null) return this.content.trim() || "No answer";
    const what = isGuess ? "I don't know. Best guess" : this.stopped ? "Best answer so far" : "Answer";
    return `${what}: ${answer}${sure === null ? "" : `, ${sureText(sure, isRough)}`}`;
  }

  /** Take a chunk of the stream. */
  add({ choices = [], adascale }) {
    const delta = choices[0]?.index === 0 ? choices[0].delta : {};
    this.reasoning += delta.reasoning ?? "";
    this.content += delta.content ?? "";
    this.result = adascale ?? this.result;
  }

  draw() {
    const { head, line, meaning, body, answers, foot } = this.#parts;
    const { answer, sure, isRough, agreement, isGuess } = this.#standing();
    this.element.className = `${this.ended ? "ended" : "running"} ${sure === null ? "" : `sure-${level(sure)}`}`;
    fill(head, ...(answer === null ? [] : this.#headline(answer, isGuess)));
    fill(line, ...(sure === null ? [] : [bar(sure), element("b", "", sureText(sure, isRough))]),
      ...(answer === null ? [] : [element("span", "words", [agreement, ...this.#time()].join(" · "))]));
    const words = this.result && answer !== null ? this.#meaning() : "";
    fill(meaning, ...(words ? [element("p", "words", words)] : []));
    const text = answer === null ? this.content : reasons(this.content, answer);
    fill(body, ...(text.trim() ? [markdown(text)] : []));
    fill(answers, ...this.#rivals(answer, sure));
    fill(foot, ...this.#footer(answer));
    this.#how.hidden = !this.reasoning.trim() && (answer === null || !this.ended);
    this.#title.textContent = this.ended ? "How it got there" : "What it does";
    fill(this.#why, this.#account(sure));
    fill(this.#lines, ...this.#rows());
  }

  /** The answer that leads, null without one; its probability, null if it has none; and how many agree. */
  #standing() {
    const { result } = this;
    if (result === null) {
      const found = this.reasoning.trim().split("\n").map((each) => LEADS.exec(each)).findLast(Boolean);
      if (!found) return { answer: null, sure: null };
      const [, answer, about, percents, votes] = found;
      const sure = percents === undefined ? null : Number(percents) / 100;
      return { answer, sure, isRough: Boolean(about), agreement: this.stopped ? `best so far: ${votes}` : votes, isGuess: false };
    }
    if (result.answer === null) return { answer: null, sure: null };
    const text = this.content.replace(GUESS, "").trim();
    // Without the line the text is the answer, as that of a fact or of an option that was only read.
    const answer = LAST_LINE.exec(text)?.[1] ?? (result.fallback ? result.answer : text);
    const isGuess = result.stop_reason === "hopeless" || (result.probability !== null && result.probability < UNLIKELY);
    const isRough = result.calibration !== "fitted";
    return { answer, sure: result.probability, isRough, agreement: agreementOf(result), isGuess };
  }

  #headline(answer, isGuess) {
    const text = rounded(answer);
    const strong = element("strong", "", text);
    const large = element("p", text.length > SHORT ? "large long" : "large", strong);
    if (!this.ended) return [large];
    const copy = copyButton(answer);
    if (!isGuess) return [large, copy];
    return [element("p", "large", "I don't know"), element("p", "", "My best guess is ", strong), copy];
  }

  #meaning() {
    if (this.result.fallback) return `This is the answer of ${this.result.fallback.server}, which gives no probability.`;
    return this.result.measured ?? "";
  }

  /** What else could be the answer: the options with their bars, or all answers with their votes. */
  #rivals(answer, sure) {
    if (!this.result || answer === null) return [];
    const { options, texts, groups, votes, answer: name } = this.result;
    if (options) {
      const votesFor = (option) => groups.find((group) => group.answer === option)?.votes ?? 0;
      return [element("ol", "options", ...Object.entries(options).map(([option, p]) =>
        row(option === name, texts?.[option] ?? option, votesFor(option), bar(p), percent(p))))];
    }
    if (groups.length < 2) return [];
    const rows = groups.map((group, at) =>
      row(at === 0, rounded(group.answer), group.votes, "", at === 0 && sure !== null ? percent(sure) : ""));
    const without = votes.finished - groups.reduce((sum, group) => sum + group.votes, 0);
    if (without > 0) rows.push(row(false, element("span", "words", "no answer"), without, "", ""));
    return [element("ol", "", ...rows)];
  }

  /** Where there is no answer, what copies the text and what it cost; while it runs, for how long it has. */
  #footer(answer) {
    const { result, stopped, content } = this;
    if (!this.ended) {
      const does = content ? [] : [this.reasoning ? "Writing solutions" : "Reading the question"];
      const waits = answer === null ? [...does, ...this.#time()].join(" · ") : "Still looking: more solutions are being written.";
      const last = this.reasoning.trim().split("\n").at(-1);
      return [element("p", "words", waits), ...(last && !content ? [element("p", "words last", plain(last))] : [])];
    }
    if (answer !== null) return stopped ? [element("p", "words", "You stopped it: this is the best answer so far, and another one may have won.")] : [];
    const copy = content.trim() ? [copyButton(content.trim())] : [];
    const cost = result ? [plural(result.tokens, "token"), ...this.#time()] : [`You stopped it${content.trim() ? ": the reply is not complete" : " before it had an answer"}.`];
    const why = result && !content.trim() ? ["No answer that can be compared"] : [];
    return [...copy, element("p", "words", [...why, ...cost].join(" · "))];
  }

  /** How long it took, or takes; nothing where it was stopped. */
  #time() {
    if (this.stopped) return [];
    const seconds = this.result?.seconds ?? (performance.now() - this.#begun) / 1000;
    if (seconds < 119.5) return [`${seconds < 0.95 ? seconds.toFixed(1) : Math.round(seconds)}\u00a0s`];
    const whole = Math.round(seconds);
    return [`${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}\u00a0min`];
  }

  /** Steps while it runs; of what has ended, how each solution did. */
  #rows() {
    const lines = this.reasoning.trim().split("\n").filter(Boolean);
    const [steps, ends] = [lines.filter((each) => STEP.test(each)), lines.filter((each) => !STEP.test(each))];
    const done = new Set(ends.map((each) => SOLUTION.exec(each)?.[0]));
    const left = new Set(steps.map((each) => SOLUTION.exec(each)[0]).filter((each) => !done.has(each))).size;
    const rest = left ? [`${plural(left, "more solution")} ${left > 1 ? "were" : "was"} still being written when it stopped`] : [];
    return (this.ended ? [...ends, ...rest] : lines).map((each) => element("li", STEP.test(each) ? "step words" : "step", plain(each)));
  }

  #account(sure) {
    const { result } = this;
    if (!result) return "";
    const all = `It stopped after all ${plural(result.votes.finished, "solution")}.`;
    const read = "It read the options; no solution was worth writing.";
    const said = result.why ? [`It was taken for ${KINDS[result.kind] ?? result.kind}, as ${result.why}.`] : [];
    said.push(result.votes.finished === 0 && result.options ? read : STOPS[result.stop_reason] ?? all);
    if (result.options && result.groups.length && result.groups[0].answer !== result.answer) said.push("How likely it found each option before it wrote counts too.");
    if (sure !== null && result.interval) {
      const [from, to] = result.interval.map((each) => Math.round(100 * each));
      if (from < to) said.push(`The likely range of its probability is ${from} to ${to}\u00a0%.`);
    }
    if (result.tokens) said.push(`${plural(result.tokens, "token")} in all.`);
    return [...said, ...result.warnings.map((each) => `${each[0].toUpperCase()}${each.slice(1)}.`)].join(" ");
  }
}

/** A file beside a question: its name, its size and what removes it. */
export function chip({ name, size }, ...more) {
  return element("li", "chip", name, element("span", "words", size < 1000 ? `${size} B` : `${(size / 1000).toFixed(1)} kB`), ...more);
}

/** A solution without the line that repeats the answer, which stands above it; empty if that was all. */
function reasons(text, answer) {
  const rest = text.replace(GUESS, "").replace(LAST_LINE, "").replace(/(?:^|\n)\W*(?:final )?answer\W[^\n]*\s*$/i, "").trim();
  return [rest, rest.replace(/^[\s*]+|[\s.*]+$/g, "")].includes(answer) ? "" : rest;
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

function agreementOf({ groups, votes: { agree, finished } }) {
  if (finished === 0) return "read from the options";
  const answered = groups.reduce((sum, group) => sum + group.votes, 0);
  const none = answered < finished ? `, ${finished - answered} without an answer` : "";
  return (answered === 1 && agree === 1 ? "1 solution" : `${agree} of ${plural(answered, "solution")} agree`) + none;
}

function row(isWinner, answer, votes, middle, sure) {
  const dots = element("span", "votes", "●".repeat(Math.min(votes, 10)));
  dots.setAttribute("aria-hidden", "true");
  return element("li", isWinner ? "winner" : "", element("strong", "", answer), dots,
    element("span", "words", votes ? plural(votes, "solution") : ""), middle, element("b", "", sure));
}

function bar(probability) {
  const filled = element("i");
  filled.style.width = `${Math.round(100 * probability)}%`;
  const made = element("span", "bar", filled);
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** `96 %`; nothing is shown as certain, nor as impossible. */
function percent(probability) {
  const whole = Math.round(100 * probability);
  return whole <= 0 ? "<1\u00a0%" : whole >= 100 ? ">99\u00a0%" : `${whole}\u00a0%`;
}

/** `96 % sure`, or `about 80 % sure` where the number is a rough one. */
function sureText(sure, isRough) {
  const likely = `${isRough ? "about " : ""}${percent(sure)}`;
  return sure < 0.5 ? `not sure: ${likely} likely` : `${likely} sure`;
}

/** Class of a probability: by it things have their colour. */
function level(probability) {
  return probability >= 0.8 ? "high" : probability >= 0.5 ? "middle" : "low";
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
