// The layers of an inspection: in the order of the network or by redundancy, or sorted by a column.
const numberIn = (words) => Number.parseFloat(words.replace(/[,\u2248\s]/g, "").replace(MINUS, "-"));

const wireOrder = () => {
  const table = byId("inspected");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((node, order) => ({
    node,
    order,
    name: node.dataset.name,
    values: new Map(all("td[data-key]", node).map((of) => [of.dataset.key, numberIn(of.textContent)])),
  }));
  const heads = all("th[data-key]", table);
  const sorting = { key: null, way: "none" };
  const sort = () => arrange(body, rows, sorting);
  heads.forEach((head) => wireHead(head, heads, sorting, sort));
  byId("order-tools").hidden = rows.length < 2;
  wireChoice("order", (kind) => {
    rows.forEach((row) => (row.order = Number(row.node.dataset[kind])));
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    Object.assign(sorting, { key: null, way: "none" });
    sort();
  });
};
