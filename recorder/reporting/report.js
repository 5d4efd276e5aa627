"use strict";
const filter = document.getElementById("filter");
const rows = [...document.querySelectorAll("#gaps tbody tr")];
function apply() {
  const wanted = filter.value.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = String(shown);
}
filter.addEventListener("input", apply);
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    filter.value = button.dataset.filter;
    apply();
    filter.scrollIntoView();
    filter.focus();
  });
}
