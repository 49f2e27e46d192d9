// Light, dark, or as the system says; kept for the next visit.

const NAMES = ["auto", "light", "dark"];

export function theme(button) {
  let now = localStorage.getItem("unmask-theme");
  if (!NAMES.includes(now)) now = "auto";
  const set = () => {
    document.documentElement.dataset.theme = now;
    const told = `Colours: ${now === "auto" ? "as the system says" : now}`;
    button.textContent = { auto: "\u25d0", light: "\u25cb", dark: "\u25cf" }[now];
    button.title = told;
    button.setAttribute("aria-label", told);
  };
  button.addEventListener("click", () => {
    now = NAMES[(NAMES.indexOf(now) + 1) % NAMES.length];
    localStorage.setItem("unmask-theme", now);
    set();
  });
  set();
}
