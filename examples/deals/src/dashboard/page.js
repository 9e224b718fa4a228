"use strict";

// How often the deals are asked for. Each time may reach another color, so nothing stays open.
const REFRESH_MS = 2000;

const byId = (id) => document.getElementById(id);

const element = (name, className, text) => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
};

// Amounts come in minor units; how many digits those are depends on the currency.
const money = ({ amount, currency }) => {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
};

const when = (at) => new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });

const row = (deal) => {
  const item = document.createElement("li");
  const { approval } = deal;
  const detail = approval
    ? `#${deal.id}, approved by ${approval.approver}: ${approval.note}`
    : `#${deal.id}, ${deal.state} since ${when(deal.updated_at)}`;
  item.append(
    element("span", "title", deal.title),
    element("span", "amount", money(deal)),
    element("span", "detail", detail),
    element("span", `state ${deal.state}`, deal.state),
  );
  return item;
};

const show = ({ color, version, deals }) => {
  const awaiting = deals.filter((deal) => deal.state === "submitted");
  document.documentElement.dataset.color = color;
  document.title = `${awaiting.length ? `(${awaiting.length}) ` : ""}Deals, ${color}`;
  byId("color").textContent = color;
  byId("version").textContent = version;
  byId("awaiting-count").textContent = awaiting.length;
  byId("awaiting").replaceChildren(...awaiting.map(row));
  byId("deals").replaceChildren(...deals.map(row));
};

// What is shown already stays as it is: a selection in it, too.
let shown = "";

const refresh = async () => {
  let trouble = "";
  try {
    const answer = await fetch("/deals.json", { cache: "no-store", signal: AbortSignal.timeout(5 * REFRESH_MS) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(told(text) ?? `the answer is ${answer.status}`);
    if (text !== shown) show(JSON.parse(text));
    shown = text;
  } catch (error) {
    trouble = `Not refreshed: ${error.message}`;
  }
  const problem = byId("problem");
  if (problem.textContent !== trouble) problem.textContent = trouble;
  problem.hidden = !trouble;
  setTimeout(refresh, REFRESH_MS);
};

// What an error says; a proxy's may not be JSON.
const told = (text) => {
  try {
    return JSON.parse(text).error;
  } catch {
    return undefined;
  }
};

refresh();
