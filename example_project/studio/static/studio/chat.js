"use strict";

// Shows a reply while it comes. Without this script the same forms bring the page once the reply is whole.

const find = (selector, within = document) => within.querySelector(selector);

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form.asks")) return;
  event.preventDefault();
  find("button", form).disabled = true;
  find("#refusal").hidden = true;
  const answer = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "text/plain, application/problem+json" },
  }).catch(() => null);
  const kind = answer?.headers.get("Content-Type") ?? "";
  if (kind.startsWith("text/plain")) {
    await show(answer, place(form));
    await refresh();
  } else if (kind.startsWith("application/problem+json")) {
    refuse(await answer.json());
    await refresh();
  } else {
    // Anything else is a page for people, or no answer at all.
    form.submit();
  }
});

// Return where the reply is to grow: below the question that it belongs to.
function place(form) {
  const message = find("#growing").content.cloneNode(true).firstElementChild;
  const asked = form.closest("li");
  find(".question", message).textContent = asked ? find(".question", asked).textContent : find("textarea", form).value;
  if (asked) {
    asked.replaceWith(message);
  } else {
    find("#said").append(message);
    form.reset();
  }
  return find(".reply p", message);
}

async function show(answer, reply) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      reply.append(part.value);
      reply.scrollIntoView({ block: "nearest" });
    }
  } catch {
    // The connection broke: what the server has kept of it is what the page shows next.
  }
}

function refuse(problem) {
  find("#refusal span").textContent = problem.detail;
  find("#refusal").hidden = false;
}

// Take over what has changed: the balance, what was said, the form with a key for the next question.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of page.querySelectorAll("[data-fresh]")) find(`#${fresh.id}`).replaceWith(fresh);
  find("#ask textarea").focus();
}
