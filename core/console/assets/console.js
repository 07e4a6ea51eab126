// What the console's pages gain where JavaScript runs. Everything works without.
"use strict";

// On a phone the menu is closed at first; on anything wider it is always there.
const narrow = matchMedia("(max-width: 52rem)");
const fitMenu = () => document.querySelectorAll("details.menu").forEach((menu) => { menu.open = !narrow.matches; });
fitMenu();
narrow.addEventListener("change", fitMenu);

// Changing the workspace needs no further press.
document.querySelectorAll("form.workspace").forEach((form) => {
  form.querySelector("button").hidden = true;
  form.querySelector("select").addEventListener("change", () => form.requestSubmit());
});

// Links that were just made are shown as they are to be sent.
document.querySelectorAll("input[data-link]").forEach((input) => {
  input.value = new URL(input.value, document.baseURI).href;
});

// Buttons that copy: <button data-copy="id of the field">.
function enableCopying(within) {
  if (!navigator.clipboard) return;
  within.querySelectorAll("button[data-copy]").forEach((button) => {
    if (!button.hidden) return;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(field.value ?? field.textContent);
        button.textContent = "Copied";
      } catch { // the browser does not let pages
        field.select?.();
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  });
}
enableCopying(document);
document.addEventListener("htmx:afterSwap", () => enableCopying(document));

// Cells of tables that a phone shows as cards know their headings.
function labelCells(within) {
  within.querySelectorAll(".table.cards").forEach((wrapper) => {
    const heads = [...wrapper.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    wrapper.querySelectorAll("tbody tr").forEach((row) => {
      [...row.cells].forEach((cell, n) => { cell.dataset.label = heads[n] ?? ""; });
    });
    wrapper.classList.add("labelled");
  });
}
labelCells(document);
document.addEventListener("htmx:afterSwap", () => labelCells(document)); // what was swapped in may have replaced its target

// One details of a table open at a time, and Escape closes it.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.act") || !event.target.open) return;
  document.querySelectorAll("details.act[open]").forEach((other) => { if (other !== event.target) other.open = false; });
  event.target.querySelector("input:not([type=hidden]), button")?.focus();
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.act[open]");
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});
