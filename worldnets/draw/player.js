// Plays the frames of one animation. Every picture of its kind that has not started yet is started; nothing is loaded.
(() => {
  "use strict";
  for (const root of document.querySelectorAll(".worldnets[data-frames]:not([data-started])")) {
    root.dataset.started = "";
    const data = JSON.parse(root.dataset.frames);
    const all = (selector) => [...root.querySelectorAll(selector)];
    const [play] = all(".play"), [slider] = all("input"), [place] = all("output"), [told] = all(".told");
    const messages = all("[data-message]"), bars = all("[data-bar]"), percents = all("[data-percent]");
    const links = all("[data-edge]"), cliques = all("[data-clique]"), [cursor] = all(".cursor");
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    let timer = null;

    const percent = (p) => p > 0 && p < 0.01 ? "<1%" : p > 0.99 && p < 1 ? ">99%" : `${Math.round(100 * p)}%`;

    function showRound(frame) {
      const changes = frame > 0 ? data.changes[frame - 1] : [];
      for (const group of messages) {
        const change = changes[group.dataset.message] || 0;
        const share = change > 0 ? Math.min(1, Math.max(0, 1 + Math.log10(change / data.most) / data.decades)) : 0;
        group.style.setProperty("--share", share.toFixed(3));
        group.style.setProperty("--size", (change / data.most).toFixed(3));
        const moved = frame > 0 ? `changed by ${change} in round ${frame}` : "at the start";
        group.querySelector("title").textContent = `${data.messages[group.dataset.message]}: ${moved}`;
      }
      const beliefs = data.beliefs[frame];
      for (const bar of bars) bar.setAttribute("width", (beliefs[bar.dataset.bar] * data.width).toFixed(2));
      for (const words of percents) words.textContent = percent(beliefs[words.dataset.percent]);
      if (cursor) cursor.setAttribute("transform", `translate(${data.ticks[frame]} 0)`);
    }

    function showStep(frame) {
      const [now, direction] = frame > 0 ? [new Set(data.steps[frame - 1].edges), data.steps[frame - 1].up] : [new Set(), true];
      const before = new Set();
      for (const step of data.steps.slice(0, Math.max(0, frame - 1))) if (step.up === direction) step.edges.forEach((e) => before.add(e));
      const ends = { sender: new Set(), receiver: new Set() };
      for (const link of links) {
        const child = Number(link.dataset.edge), active = now.has(child);
        link.classList.toggle("sending", active);
        link.classList.toggle("sent", before.has(child));
        const head = link.querySelector(`.head.${direction ? "down" : "up"}`), other = link.querySelector(`.head.${direction ? "up" : "down"}`);
        if (head) head.setAttribute("visibility", "hidden");
        if (other) other.setAttribute("visibility", "visible");
        if (active) {
          ends[direction ? "sender" : "receiver"].add(child);
          ends[direction ? "receiver" : "sender"].add(data.parents[child]);
        }
      }
      for (const clique of cliques) {
        const c = Number(clique.dataset.clique);
        for (const kind of ["sender", "receiver"]) clique.classList.toggle(kind, ends[kind].has(c));
        clique.classList.toggle("ready", data.ready[c] <= frame);
      }
    }

    function show(frame) {
      (data.steps ? showStep : showRound)(frame);
      slider.value = frame;
      place.textContent = `${data.unit} ${frame} of ${data.told.length - 1}`;
      told.textContent = data.told[frame];
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶ Play";
      play.setAttribute("aria-pressed", "false");
    }

    function start() {
      if (Number(slider.value) >= data.told.length - 1) show(0);
      play.textContent = "❚❚ Pause";
      play.setAttribute("aria-pressed", "true");
      timer = setInterval(() => {
        const next = Number(slider.value) + 1;
        if (next >= data.told.length || !root.isConnected) return stop();
        show(next);
        if (next === data.told.length - 1) stop();
      }, still.matches ? 1600 : data.pause);
    }

    const step = (by) => { stop(); show(Math.min(data.told.length - 1, Math.max(0, Number(slider.value) + by))); };
    play.addEventListener("click", () => timer === null ? start() : stop());
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    all(".back")[0].addEventListener("click", () => step(-1));
    all(".on")[0].addEventListener("click", () => step(1));
    root.addEventListener("keydown", (event) => {
      if (event.target === slider || event.ctrlKey || event.metaKey || event.altKey || event.key === " ") return event.stopPropagation();
      if (event.key === "ArrowRight") step(1);
      else if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "Home") step(-Infinity);
      else if (event.key === "End") step(Infinity);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    all(".controls")[0].hidden = false;
    show(0);
  }
})();
