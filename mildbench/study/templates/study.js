// One question after the other. What was answered is kept in the browser after every choice, by the study's id.
const study = JSON.parse(document.getElementById("study").textContent);
const at = (id) => document.getElementById(id);
const choices = document.querySelectorAll("[data-choice]");
const STORED = `mildbench-study-${study.id}`;
const PATIENCE = 12; // seconds a pair takes, for the guess on the first screen

const memory = {
  works: true,
  read() {
    try { return JSON.parse(localStorage.getItem(STORED)); } catch { this.works = false; return null; }
  },
  write(value) {
    try { localStorage.setItem(STORED, JSON.stringify(value)); } catch { this.works = false; }
  },
};
const fresh = { name: "", answers: {} };
const state = { ...fresh, ...memory.read() };
memory.write(state);

let place = 0; // of the pair that is asked
let since = null; // when its pictures appeared; null while they do not
let looked = false;

const uri = (picture) => `data:image/webp;base64,${study.pictures[picture]}`;
const total = study.pairs.length;
const done = () => study.pairs.filter((pair) => pair.id in state.answers).length;

function show(screen) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== screen;
  document.body.dataset.screen = screen;
}

function welcome() {
  at("example").src = uri(study.pairs[0].before);
  at("name").value = state.name || `rater-${Math.random().toString(36).slice(2, 7)}`;
  document.querySelector(".total").textContent = total;
  at("minutes").textContent = Math.max(1, Math.round((total * PATIENCE) / 60));
  if (!memory.works) at("kept").textContent = "This browser forgets your answers when you close the page: finish in one go.";
  show("welcome");
}

async function ask(next) {
  place = next;
  since = null;
  looked = false;
  const pair = study.pairs[place];
  show("rate");
  peek(false);
  at("bar").value = done() / total;
  at("count").textContent = `${place + 1} of ${total}`;
  at("back").disabled = place === 0;
  for (const button of choices) {
    button.disabled = true; // nobody can judge what is not there yet
    button.classList.toggle("chosen", state.answers[pair.id]?.choice === button.dataset.choice);
  }
  const images = [[at("before").querySelector("img"), pair.before]];
  for (const pane of document.querySelectorAll(".pane"))
    images.push(
      [pane.querySelector(".result"), pane.dataset.side === "A" ? pair.a : pair.b],
      [pane.querySelector(".behind"), pair.before],
    );
  for (const [image, picture] of images) image.src = uri(picture);
  try {
    await Promise.all(images.map(([image]) => image.decode()));
  } catch (error) {
    if (study.pairs[place] === pair) throw error; // else the next pair has taken their place
  }
  if (study.pairs[place] !== pair) return;
  since = performance.now();
  for (const button of choices) button.disabled = false;
  const after = study.pairs[place + 1];
  if (after) for (const picture of [after.before, after.a, after.b]) new Image().src = uri(picture);
}

function choose(choice) {
  if (since === null) return;
  const seconds = Math.round(performance.now() - since) / 1000;
  state.answers[study.pairs[place].id] = { choice, seconds, looked };
  memory.write(state);
  onwards();
}

function onwards() {
  const open = (pair) => !(pair.id in state.answers);
  const later = study.pairs.findIndex((pair, index) => index > place && open(pair));
  const next = later >= 0 ? later : study.pairs.findIndex(open);
  if (next >= 0) ask(next);
  else end();
}

function peek(on) {
  at("rate").classList.toggle("showing", on);
  looked ||= on;
}

function end(title = "Paused") {
  const given = done();
  at("thanks").textContent = given === total ? "Thank you, that was all." : title;
  at("state").textContent = given === total
    ? `You answered all ${total} pairs. Now save your answers as a file:`
    : `You have answered ${given} of ${total} pairs. ` + (memory.works
      ? "You can close this page and go on later. If you want to stop for good, save what you have:"
      : "This browser forgets them when you close the page: save them now, or go on.");
  at("resume").hidden = given === total;
  at("text").value = answers();
  const name = state.name.normalize("NFKD").replace(/[^A-Za-z0-9_-]+/g, "-");
  at("save").download = `answers-${study.id}-${name}.json`;
  at("save").href = `data:application/json;charset=utf-8,${encodeURIComponent(answers())}`;
  show("end");
}

function answers() {
  const given = study.pairs.filter((pair) => pair.id in state.answers);
  return JSON.stringify({
    schema_version: 1,
    study: study.id,
    rater: { kind: "person", name: state.name },
    answers: given.map((pair) => ({ pair: pair.id, ...state.answers[pair.id] })),
  }, null, 1);
}

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  state.name = at("name").value.trim() || state.name;
  if (!state.name) return;
  memory.write(state);
  place = -1;
  onwards();
});
at("back").addEventListener("click", () => ask(Math.max(0, place - 1)));
at("pause").addEventListener("click", () => end());
at("resume").addEventListener("click", () => { place = -1; onwards(); });
for (const button of choices)
  button.addEventListener("click", () => choose(button.dataset.choice));

// The photo before, for as long as a picture is held.
for (const held of [at("before"), ...document.querySelectorAll(".pane")]) {
  held.addEventListener("pointerdown", (event) => { if (event.isPrimary && event.button === 0) peek(true); });
  held.addEventListener("contextmenu", (event) => event.preventDefault());
}
for (const over of ["pointerup", "pointercancel"]) addEventListener(over, () => peek(false));
document.addEventListener("visibilitychange", () => peek(false));

const KEYS = { ArrowLeft: "A", ArrowRight: "B", ArrowDown: "tie", a: "A", b: "B", t: "tie" };
addEventListener("keydown", (event) => {
  if (document.body.dataset.screen !== "rate" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " ") peek(true);
  else if (event.key === "Backspace") { if (!event.repeat && place > 0) ask(place - 1); }
  else if (event.key in KEYS) { if (!event.repeat) choose(KEYS[event.key]); }
  else return;
  event.preventDefault(); // no scrolling, and no press of whichever button was clicked last
});
addEventListener("keyup", (event) => {
  if (event.key !== " " || document.body.dataset.screen !== "rate") return;
  event.preventDefault();
  peek(false);
});

if (done() > 0) end("Welcome back");
else welcome();
