// The filter box of the data dictionary: shows the streams whose name or columns hold what is typed.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector(".filter");
  if (!box) return;
  const parts = document.querySelector("table.streams") ? rows() : sections();
  const fit = () => {
    const wanted = box.value.trim().toLowerCase();
    for (const part of parts) {
      const shown = part.words.includes(wanted);
      for (const element of part.elements) element.hidden = !shown;
    }
  };
  box.addEventListener("input", fit);
  box.value = new URLSearchParams(location.search).get("filter") || "";
  fit();

  function rows() {
    return [...document.querySelectorAll("table.streams tbody tr")].map((row) => ({
      words: `${row.textContent} ${row.dataset.words}`.toLowerCase(),
      elements: [row],
    }));
  }

  function sections() {
    return [...document.querySelectorAll(".md-content h2[id]")].map((heading) => {
      const elements = [heading];
      for (let next = heading.nextElementSibling; next && next.tagName !== "H2"; next = next.nextElementSibling) {
        elements.push(next);
      }
      return { words: elements.map((e) => e.textContent).join(" ").toLowerCase(), elements };
    });
  }
});
