// Wire everything in the order of the page: the visible parts are drawn first, the small maps last.
wireTheme();
wireFolds();
wireTime();
wireChosen();
wireHeatmap();
wireTable();
wireOrder();
wireCurves();
wireSpreads();
wireFigures();
const drawThumbs = wireThumbs();
const startPairs = wirePairs();
wirePrint(drawThumbs);
// Tests and benchmarks wait for these marks.
startPairs()
  .then(drawThumbs)
  .then(() => {
    root.dataset.drawn = "all";
    performance.mark("drawn");
  });
