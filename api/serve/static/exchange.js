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

/** A line of reasoning that says which answer leads: `24 leads: very likely (84 %) · 3 of 4 solutions agree`. */
const LEADS = /^(.*) leads: (.*)$/;

/** The words for a probability, which begin the facts about an answer that has one, and how high each is. */
const BANDS = { "almost surely": "high", "very likely": "high", likely: "middle", "not sure": "low", "a guess": "low" };

/** A line of reasoning with a step of a solution, not its end. */
const STEP = /^Solution \d+: /;
const SOLUTION = /^Solution \d+/;

/** What stands above an answer that is not known, and the line below a solution that repeats the answer. */
const GUESS = "I don't know; this is the best guess.\n\n";
const LAST_LINE = /(?:^|\n+)Answer: (.*)\s*$/;

/** Efforts above which there is hardly more. */
const MOST = ["high", "max"];

/** Characters of an answer that is shown as large as a number. */
const SHORT = 30;

/** Characters from which on a question may be higher than its box. */
const LONG = 300;

export class Exchange {
  #parts = Object.fromEntries(PARTS.map((name) => [name, element("div", name)]));
  #title = element("summary");
  #how = element("details", "how", this.#title);
  #why = element("p", "words");
  #solution = element("div", "body");
  #lines = element("ol", "steps");
  #begun = performance.now();

  /**
   * @param {{question: string, files?: object[], effort?: string, content?: string, reasoning?: string, result?: object | null, stopped?: boolean}} kept
   *   An exchange as `kept` gives it, or a question alone.
   */
  constructor({ question, files = [], effort = "", content = "", reasoning = "", result = null, stopped = false }) {
    Object.assign(this, { question, files, effort, content, reasoning, result, stopped });
    this.#how.append(this.#why, this.#solution, this.#lines);
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
    const { question, files, effort, content, reasoning, result, stopped } = this;
    return { question, files, effort, content, reasoning, result, stopped };
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
    const { answer, certainty, doubt } = this.#standing();
    if (answer === null) return this.content.trim() || "No answer";
    if (doubt) return `${doubt} ${answer}`;
    return `${this.stopped ? "Best answer so far" : "Answer"}: ${answer}${certainty && `, ${certainty}`}`;
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
    const { answer, band, certainty, doubt, agreement } = this.#standing();
    this.element.className = `${this.ended ? "ended" : "running"} ${band ? `sure-${BANDS[band]}` : ""}`;
    fill(head, ...(answer === null ? [] : this.#headline(answer, doubt)));
    fill(line, ...(certainty && !doubt ? [element("b", "", certainty)] : []),
      ...(answer === null ? [] : [element("span", "words", [...agreement, ...this.#time()].join(" · "))]));
    const { fallback } = this.result ?? {};
    fill(meaning, ...(fallback ? [element("p", "words", `This is the answer of ${fallback.server}, which gives no probability.`)] : []));
    const text = answer === null ? this.content : reasons(this.content, answer);
    const prose = text.trim() ? [markdown(text)] : [];
    fill(body, ...(answer === null ? prose : [])); // only answers are checked: solutions are folded
    fill(this.#solution, ...(answer === null ? [] : prose));
    fill(answers, ...this.#rivals(answer));
    fill(foot, ...this.#footer(answer, doubt));
    this.#how.hidden = !this.reasoning.trim() && (answer === null || !this.ended);
    this.#title.textContent = this.ended ? "How it got there" : "What it does";
    fill(this.#why, this.#account());
    fill(this.#lines, ...this.#rows());
  }

  /**
   * The answer that leads, null without one; the word for its probability, alone and with the number; what
   * stands before an answer in doubt; and how many solutions agree.
   */
  #standing() {
    const { stopped, result } = this;
    const [answer, facts] = result ? this.#outcome() : this.#leader();
    const band = Object.keys(BANDS).find((word) => facts[0]?.startsWith(word));
    const [certainty, agreement] = band ? [facts[0], facts.slice(1)] : ["", facts];
    const isInDoubt = BANDS[band] === "low" || (result?.stop_reason === "hopeless" && !result.fallback);
    const doubt = isInDoubt ? `${sentence(certainty || "a guess")}: perhaps` : "";
    return { answer, band, certainty, doubt, agreement: stopped ? [`best so far: ${agreement.join(" · ")}`] : agreement };
  }

  /** The answer that leads by the reasoning, and the facts about it. */
  #leader() {
    const lines = this.reasoning.trim().split("\n");
    const [, answer = null, facts = ""] = lines.map((each) => LEADS.exec(each)).findLast(Boolean) ?? [];
    return [answer, facts.split(" · ")];
  }

  /** The answer of a search that has ended, and the facts about it. */
  #outcome() {
    const { answer, fallback, support = [] } = this.result; // a chat that was kept long ago has none
    if (answer === null) return [null, []];
    const text = this.content.replace(GUESS, "").trim();
    // Without the line the text is the answer, as that of a fact or of an option that was only read.
    return [LAST_LINE.exec(text)?.[1] ?? (fallback ? answer : text), support];
  }

  #headline(answer, doubt) {
    const text = rounded(answer);
    const large = element("p", doubt || text.length > SHORT ? "large long" : "large", element("strong", "", text));
    return [...(doubt ? [element("p", "doubt", doubt)] : []), large, ...(this.ended ? [copyButton(answer)] : [])];
  }

  /** What else could be the answer: more than two options with their bars, or all answers with their votes. */
  #rivals(answer) {
    if (!this.result || answer === null) return [];
    const { options, texts, groups, votes, answer: name } = this.result;
    const called = (each) => texts?.[each] ?? rounded(each);
    if (Object.keys(options ?? {}).length > 2) {
      const votesFor = (option) => groups.find((group) => group.answer === option)?.votes ?? 0;
      return [element("ol", "options", ...Object.entries(options).map(([option, p]) =>
        row(option === name, called(option), votesFor(option), bar(p), element("b", "", percent(p)))))];
    }
    if (groups.length < 2) return [];
    const rows = groups.map((group) => row(group.answer === name, called(group.answer), group.votes));
    const without = votes.finished - groups.reduce((sum, group) => sum + group.votes, 0);
    if (without > 0) rows.push(row(false, element("span", "words", "no answer"), without));
    return [element("ol", "", ...rows)];
  }

  /**
   * Where there is no answer, what copies the text and what it cost; below one in doubt, what asks again; while
   * it runs, for how long it has.
   */
  #footer(answer, doubt) {
    const { result, stopped, content } = this;
    if (!this.ended) {
      const does = content ? [] : [this.reasoning ? "Writing solutions" : "Reading the question"];
      const waits = answer === null ? [...does, ...this.#time()].join(" · ") : "Still looking: more solutions are being written.";
      const last = this.reasoning.trim().split("\n").at(-1);
      return [element("p", "words", waits), ...(last && !content ? [element("p", "words last", plain(last))] : [])];
    }
    if (answer !== null && stopped) return [element("p", "words", "You stopped it: this is the best answer so far, and another one may have won.")];
    if (answer !== null) return doubt && result.votes.finished && !MOST.includes(this.effort) ? [again()] : [];
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

  #account() {
    const { result } = this;
    if (!result) return "";
    const all = `It stopped after all ${plural(result.votes.finished, "solution")}.`;
    const read = "It read the options; no solution was worth writing.";
    const said = result.why ? [`It was taken for ${KINDS[result.kind] ?? result.kind}, as ${result.why}.`] : [];
    said.push(result.votes.finished === 0 && result.options ? read : STOPS[result.stop_reason] ?? all);
    if (result.interval) {
      const [from, to] = result.interval.map((each) => Math.round(100 * each));
      if (from < to) said.push(`The likely range of its probability is ${from} to ${to}\u00a0%.`);
    }
    if (result.measured) said.push(result.measured);
    if (result.tokens) said.push(`${plural(result.tokens, "token")} in all.`);
    return [...said, ...result.warnings.map((each) => `${sentence(each)}.`)].join(" ");
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

function row(isWinner, answer, votes, ...more) {
  const dots = element("span", "votes", "●".repeat(Math.min(votes, 10)));
  dots.setAttribute("aria-hidden", "true");
  return element("li", isWinner ? "winner" : "", element("strong", "", answer), dots,
    element("span", "words", votes ? plural(votes, "solution") : ""), ...more);
}

/** A button that asks a question again, which the page does. */
function again() {
  const button = element("button", "again quiet", "Ask again with more effort");
  button.type = "button";
  return button;
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

/** A text that begins with a capital. */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
