// Sends a CSV file with its progress told, by the form that does so without
// JavaScript as well.
"use strict";

const form = document.getElementById("send-form");
const input = document.getElementById("file");
const told = document.getElementById("send-told");
const sending = document.getElementById("sending");
const progress = document.getElementById("send-progress");
const stop = document.getElementById("send-stop");
const send = form.querySelector("button.primary");

function megabytes(bytes) { return (bytes / 1048576).toFixed(1) + " MB"; }

function say(text, bad) {
  told.textContent = text;
  told.className = bad ? "refused" : "";
}

// A file may be dropped.
const drop = form.querySelector(".drop");
document.getElementById("drop-hint").hidden = false;
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length === 1) {
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  } else {
    say("Drop one file", true);
  }
});

function tooLarge(file) { return file.size > Number(form.dataset.max); }

input.addEventListener("change", () => {
  const file = input.files[0];
  if (!file) return say("");
  if (tooLarge(file)) return say(file.name + " is larger than " + megabytes(Number(form.dataset.max)) + ": upload it in parts", true);
  say(file.name + ", " + megabytes(file.size));
});

function busy(is) {
  send.disabled = is;
  stop.hidden = !is;
  sending.hidden = !is;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = input.files[0];
  if (!file || tooLarge(file)) return input.dispatchEvent(new Event("change"));
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  if (!form.dataset.then) request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (e) => {
    progress.value = e.total ? Math.floor(e.loaded * 100 / e.total) : 0;
    say(megabytes(e.loaded) + " of " + megabytes(e.total) + " sent");
  });
  const failed = (message) => { busy(false); say(message, true); };
  request.addEventListener("abort", () => failed("Stopped. Nothing was changed."));
  request.addEventListener("error", () => failed("The connection broke off: send the file again"));
  request.addEventListener("load", async () => {
    if (request.status >= 300) {
      let message = "The file was not taken: reload the page and send it again";
      try { message = JSON.parse(request.responseText).message || message; } catch { /* the bucket speaks no JSON */ }
      return failed(message);
    }
    if (form.dataset.then) {
      const fields = new URLSearchParams({ form_token: form.dataset.token, file_name: file.name });
      const answer = await fetch(form.dataset.then, { method: "POST", body: fields, headers: { Accept: "application/json" } });
      if (!answer.ok) return failed((await answer.json()).message);
    }
    location.assign(form.dataset.page);
  });
  stop.onclick = () => request.abort();
  busy(true);
  request.send(new FormData(form));
});
