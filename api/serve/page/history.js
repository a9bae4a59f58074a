/** The last searches, kept in this browser alone; where it keeps nothing there are none. */

const NAME = "adascale.searches/1";
const MOST = 10;

/** Events that a drawing does not need once their search has ended. */
const PASSING = new Set(["branch_grew", "budget_spent", "allocation_decided", "prompt_read"]);

/** @returns {{question: string, answer: string | null, events: object[]}[]} The newest first. */
export function searches() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? [];
  } catch {
    return [];
  }
}

/** Keep a search that has ended; older ones go where there is no room. */
export function keep(record, events) {
  const compact = events.filter(({ kind }) => !PASSING.has(kind)).map(compactEvent);
  const all = [{ question: record.question, answer: record.answer, events: compact }, ...searches()].slice(0, MOST);
  while (all.length && !store(all)) all.pop();
}

/** Forget all of them. */
export function forget() {
  store([]);
}

function store(all) {
  try {
    localStorage.setItem(NAME, JSON.stringify(all));
    return true;
  } catch {
    return false;
  }
}

/** Without what is not shown: tokens are counted, and the models' description is long. */
function compactEvent(event) {
  if (event.kind === "search_started") return { ...event, models: {} };
  if (event.kind !== "step_proposed") return event;
  const { text, finish, token_ids, thought } = event.step;
  const tokens = token_ids.length;
  return { ...event, step: thought === undefined ? { text, finish, tokens } : { text: "", finish, tokens, thought } };
}
