/** Markdown as models write it, as elements: paragraphs, headings, lists, code, bold, and what of LaTeX is common. */

import { codeBlock, element } from "./dom.js";

const FENCE = /^ {0,3}(```|~~~)/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const NUMBER = /^\s*\d{1,9}[.)]\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const INLINE = /`([^`\n]+)`|\*\*(?=\S)(.+?)\*\*|\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}|(?<![\w*])\*(?=[^\s*])([^*\n]+)\*(?![\w*])/g;

const SYMBOLS = { times: "×", cdot: "·", div: "÷", pm: "±", le: "≤", leq: "≤", ge: "≥", geq: "≥", ne: "≠", neq: "≠", approx: "≈",
  pi: "π", infty: "∞", ldots: "…", dots: "…", to: "→", rightarrow: "→", Rightarrow: "⇒", implies: "⇒", therefore: "∴" };

/** @returns {HTMLElement} One element with all of the text, which may end anywhere. */
export function markdown(text) {
  return element("div", "prose", ...blocks(joined(text.replace(/\t/g, "    ").split("\n"))));
}

/** Numbers of a list in one line with their texts, which may begin in the line below. */
function joined(lines) {
  let isCode = false;
  for (let at = 0; at < lines.length - 1; at += 1) {
    const next = lines[at + 1];
    if (FENCE.test(lines[at])) isCode = !isCode;
    else if (!isCode && NUMBER.test(lines[at]) && next.trim() && !begins(next))
      lines.splice(at, 2, `${lines[at].trimEnd()} ${next.trim()}`);
  }
  return lines;
}

function blocks(lines) {
  const found = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    let end = at + 1;
    if (FENCE.test(line)) {
      const [, mark] = FENCE.exec(line);
      while (end < lines.length && lines[end].trim() !== mark) end += 1;
      found.push(codeBlock(lines.slice(at + 1, end).join("\n")));
      end += 1;
    } else if (RULE.test(line)) {
      found.push(element("hr"));
    } else if (HEADING.test(line)) {
      found.push(element("h3", "", ...inline(HEADING.exec(line)[1])));
    } else if (ITEM.test(line)) {
      while (end < lines.length && belongsToList(lines, end, line)) end += 1;
      found.push(list(lines.slice(at, end)));
    } else if (line.trim()) {
      while (end < lines.length && lines[end].trim() && !begins(lines[end])) end += 1;
      found.push(element("p", "", ...inline(lines.slice(at, end).join("\n"))));
    }
    at = end;
  }
  return found;
}

function begins(line) {
  return [FENCE, HEADING, ITEM, RULE].some((block) => block.test(line));
}

/** Items and what is indented below them; empty lines between those. */
function belongsToList(lines, at, first) {
  const next = lines.slice(at).find((line) => line.trim());
  if (next === undefined) return false;
  const item = ITEM.exec(next);
  const isNumbered = (line) => ITEM.exec(line)[2] !== undefined;
  if (item && indent(next) <= indent(first)) return isNumbered(next) === isNumbered(first);
  return indent(next) > indent(first);
}

function list(lines) {
  const [, , number] = ITEM.exec(lines[0]);
  const made = element(number === undefined ? "ul" : "ol");
  if (number > 1) made.start = number;
  const outer = indent(lines[0]);
  const items = [];
  let inner = outer;
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && indent(line) <= outer) {
      inner = item[0].length - item[3].length;
      items.push([item[3]]);
    } else {
      items.at(-1).push(line.slice(Math.min(indent(line), inner)));
    }
  }
  made.append(...items.map((inside) => {
    const parts = blocks(inside);
    if (parts[0]?.localName === "p") parts.splice(0, 1, ...parts[0].childNodes);
    return element("li", "", ...parts);
  }));
  return made;
}

function indent(line) {
  return line.length - line.trimStart().length;
}

function inline(text) {
  const found = [];
  let last = 0;
  for (const { 0: whole, 1: code, 2: bold, 3: boxed, 4: slanted, index } of text.matchAll(INLINE)) {
    found.push(plain(text.slice(last, index)));
    if (code !== undefined) found.push(element("code", "", code));
    else if (slanted !== undefined) found.push(element("em", "", ...inline(slanted)));
    else found.push(element("strong", "", ...inline(bold ?? boxed)));
    last = index + whole.length;
  }
  return [...found, plain(text.slice(last))].filter((part) => part !== "");
}

/** Plain characters instead of LaTeX. */
export function plain(text) {
  return text
    .replace(/\\[()[\]]|\\(?:left|right|displaystyle)(?![A-Za-z])/g, "")
    .replace(/\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}/g, "$1")
    .replace(/\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}/g, (_, a, b) => [a, b].map((each) => (/^\w+$/.test(each) ? each : `(${each})`)).join("/"))
    .replace(/\\([A-Za-z]+)/g, (whole, name) => SYMBOLS[name] ?? whole)
    .replace(/\\[,;:! ]/g, " ")
    .replace(/\\([%$])/g, "$1");
}
