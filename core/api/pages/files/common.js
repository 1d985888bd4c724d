"use strict";

/** Returns an element by its id. */
const $ = (id) => document.getElementById(id);

/** Says how things stand. Kind is good, bad or nothing. */
function say(text, kind = "") {
  $("message").textContent = text;
  $("message").className = kind;
}

/**
 * Asks the broker. Returns the body of a good answer, and throws an Error with
 * the broker's own words otherwise. Addresses are relative to the page.
 */
async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Error("The broker does not answer. Try again in a moment.");
  }
  let content = {};
  try {
    content = await answer.json();
  } catch {
    // Something between here and the broker has answered in its place.
  }
  if (answer.ok) return content;
  if (answer.status === 429) {
    const wait = answer.headers.get("Retry-After");
    throw new Error("Too many attempts. Try again" + (wait ? ` in ${wait} seconds.` : " later."));
  }
  const error = new Error(content.error || `The broker answered ${answer.status}.`);
  error.status = answer.status;
  throw error;
}

/** Runs work when the form is sent, once at a time, and says what went wrong. */
function onSubmit(work) {
  $("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("form").querySelector("button");
    button.disabled = true;
    say("");
    try {
      await work();
    } catch (error) {
      say(error.message, "bad");
    } finally {
      button.disabled = false;
    }
  });
}
