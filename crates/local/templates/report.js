for (const section of document.querySelectorAll("section[data-image]")) {
  const viewer = section.querySelector(".viewer");
  const over = viewer.querySelector(".over img");
  const name = viewer.querySelector(".right");
  const slide = section.querySelector(".slide input");
  const show = (row) => {
    for (const other of section.querySelectorAll("tr.shown")) other.classList.remove("shown");
    row.classList.add("shown");
    over.src = row.dataset.src;
    name.textContent = row.dataset.name;
  };
  for (const row of section.querySelectorAll("tr[data-src]")) {
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a")) show(row);
    });
  }
  const move = () => viewer.style.setProperty("--at", slide.value + "%");
  slide.addEventListener("input", move);
  viewer.addEventListener("pointermove", (event) => {
    if (event.buttons & 1 || event.pointerType === "mouse") {
      const box = viewer.getBoundingClientRect();
      slide.value = Math.max(0, Math.min(100, ((event.clientX - box.left) / box.width) * 100));
      move();
    }
  });
  section.querySelector(".mode").addEventListener("change", (event) => {
    section.classList.toggle("beside", event.target.checked);
  });
  move();
}
