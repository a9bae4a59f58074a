/** The page's door: events of a server have the types that the page works with, or end their search. */

const ESTIMATE = { median: "number", lower: "number", upper: "number", "calibrated?": "boolean" };
const GROUPS = [{ answer: "string", nodes: ["number"] }];
const STANDING = { "answer?": "string", "confidence?": ESTIMATE, "options?": { "*": "number" } };
const USAGE = { generated_tokens: "number" };

/** Fields by kind of event. One that ends with `?` may be missing or null; `*` stands for all names. */
const SHAPES = {
  search_started: {
    problem: {
      id: "string",
      question: "string",
      "kind?": "string",
      "why?": "string",
      "details?": { "letters?": ["string"], "texts?": ["string"] },
    },
    params: { "samples?": "number", "stop_at?": "number" },
    models: { "generator?": { "name?": "string" }, "calibration?": { "level?": "string" } },
  },
  branch_started: { branch: "number", parent: "number", "mode?": "string" },
  branch_grew: {
    branch: "number",
    parent: "number",
    "text?": "string",
    "tokens?": "number",
    "thinks?": "boolean",
  },
  step_proposed: {
    node: "number",
    parent: "number",
    branch: "number",
    step: { text: "string", "tokens?": "number", "token_ids?": ["number"], finish: "string", "thought?": "string" },
    usage: USAGE,
    "ended?": "boolean",
  },
  program_ran: { node: "number", execution: { output: "string", error: "string" } },
  step_scored: { node: "number", estimate: ESTIMATE },
  nodes_pruned: { nodes: ["number"], reason: "string" },
  answer_found: { node: "number", "answer?": "string" },
  answers_judged: { standing: STANDING, groups: GROUPS },
  warned: { message: "string" },
  search_finished: {
    result: { ...STANDING, "best?": "number", groups: GROUPS, stop_reason: "string" },
    usage: USAGE,
  },
  search_failed: { message: "string", facts: ["string"] },
};

/**
 * The event itself.
 *
 * @throws {Error} It has not the types of its kind. Other kinds are passed over, as the page does.
 */
export function checked(event) {
  if (!fits(event, { kind: "string", t: "number", ...SHAPES[event?.kind] })) {
    throw new Error("The server sent what this page cannot read; reload the page.");
  }
  return event;
}

function fits(value, shape) {
  if (typeof shape === "string") return typeof value === shape;
  if (Array.isArray(shape)) return Array.isArray(value) && value.every((each) => fits(each, shape[0]));
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(shape).every(([field, inner]) => {
    if (field === "*") return Object.values(value).every((each) => fits(each, inner));
    const found = value[field.replace("?", "")];
    return field.endsWith("?") && (found ?? null) === null ? true : fits(found, inner);
  });
}
