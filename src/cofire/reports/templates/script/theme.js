// The theme follows the reader's system until the button is pressed; ?theme=dark asks for one.
const dark = matchMedia("(prefers-color-scheme: dark)");
const themed = bell();
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

const wireTheme = () => {
  const button = byId("theme");
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed.ring();
  });
  dark.addEventListener("change", themed.ring);
  themed.listen(label);
  label();
};

// Print with everything unfolded, in the light theme.
const wirePrint = (drawAll) =>
  addEventListener("beforeprint", () => {
    all("details").forEach((details) => (details.open = true));
    root.dataset.theme = "light";
    themed.ring();
    drawAll();
  });
