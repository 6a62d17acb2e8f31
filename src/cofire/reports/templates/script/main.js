// Wiring, in the order of the page; what is seen first is drawn first, the small maps when there is time.
wireTheme();
wireTime();
wireTable();
wireCurves();
wireSpreads();
const drawThumbs = wireThumbs();
const startPairs = wirePairs();
wirePrint(drawThumbs);
// For those who look from outside, as tests do.
startPairs()
  .then(drawThumbs)
  .then(() => {
    root.dataset.drawn = "all";
    performance.mark("drawn");
  });
