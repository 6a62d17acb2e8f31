// Figures with a data-save, which names the file, and with their own numbers as {columns, rows}.
const wireFigures = () =>
  all("figure[data-save]").forEach((figure) => {
    const { columns, rows } = JSON.parse(figure.querySelector("script.numbers").textContent);
    addSave(figure, () => figure.dataset.save, {
      svg: () => all("svg", figure).find((one) => one.getClientRects().length),
      rows: () => [columns, ...rows],
    });
  });
