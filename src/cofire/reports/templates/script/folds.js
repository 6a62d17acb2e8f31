// Sections fold; on a phone only the one after the findings is open at first. A link to a section opens it.
const wireFolds = () => {
  const folds = all("details.fold");
  if (matchMedia("(max-width: 52rem)").matches) {
    const first = folds.find((fold) => !fold.matches(".found")) ?? folds[0];
    folds.forEach((fold) => (fold.open = fold === first));
  }
  all('a[href^="#"]').forEach((link) =>
    link.addEventListener("click", () => {
      const fold = byId(link.getAttribute("href").slice(1))?.querySelector("details.fold");
      if (fold) fold.open = true;
    }),
  );
};
