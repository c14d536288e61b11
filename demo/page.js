// What the page does beyond Gradio: it mends names for screen readers, and comes back from a broken line.

/** Names that screen readers can use, where Gradio gives elements others, now and whenever more appear. */
const mendNames = () => {
  for (const empty of document.querySelectorAll(".empty[aria-label]:not([role])")) empty.role = "img";
  // A picture's button is named by its place and shows its caption; a name must hold what is shown.
  for (const picture of document.querySelectorAll("button[aria-label]:has(.caption-label)")) picture.ariaLabel = null;
  for (const picture of document.querySelectorAll("button .image-frame img[alt='']")) {
    const label = picture.closest(".block")?.querySelector("[data-testid=block-label]");
    picture.setAttribute("alt", label?.textContent?.trim() ?? "");
  }
  for (const upload of document.querySelectorAll(".upload-container[aria-label]")) upload.ariaLabel = null;
};
new MutationObserver(mendNames).observe(document.documentElement, {childList: true, subtree: true});

/**
 * Loads the page again as soon as the server answers; what it showed is kept there.
 * @param {boolean} wasAway whether it is known that the server could not be reached.
 */
const comeBack = async (wasAway) => {
  const answers = await fetch(location.href, {method: "HEAD"}).then((answer) => answer.ok, () => false);
  if (answers && wasAway) location.reload();
  else setTimeout(comeBack, 1000, wasAway || !answers);
};

// Gradio does so by itself, but not when the line breaks while a part of its own code is fetched. A part that is missing
// for good loads nothing again.
addEventListener("vite:preloadError", () => comeBack(false), {once: true});
