// What the page does beyond Gradio: it speaks the visitor's language, mends names for screen readers, comes back
// from a broken line, and takes pictures that are dropped anywhere.

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

/** Loads the page again once the server answers, at most once a minute: a part of it may be missing for good. */
const comeBack = async () => {
  const answers = await fetch(location.href, {method: "HEAD"}).then((answer) => answer.ok, () => false);
  if (!answers) setTimeout(comeBack, 1000);
  else if (Date.now() - Number(sessionStorage.cameBack ?? 0) > 60_000) {
    sessionStorage.cameBack = `${Date.now()}`;
    location.reload();
  }
};

// Gradio does so by itself, but not when the line breaks while a part of its own code is fetched.
addEventListener("vite:preloadError", comeBack, {once: true});

/** Has the recipe of a picture used that is dropped beside all controls: a browser would leave the page for it. */
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0], one = new DataTransfer();
  if (event.defaultPrevented || !file) return;
  event.preventDefault();
  const input = /** @type {HTMLInputElement | null} */ (document.querySelector("#dropped input[type=file]"));
  if (!input) return; // it still takes the last one
  one.items.add(file);
  input.files = one.files;
  input.dispatchEvent(new Event("change", {bubbles: true}));
  /** @type {HTMLElement | null} */ (document.querySelector("[data-tab-id=transfer]"))?.click();
});

// A proxy may know the page by another scheme or port than the visitor.
const {pathname} = new URL(/** @type {any} */ (window).gradio_config.root, location.href);
import(`${pathname.replace(/\/$/, "")}/languages/language.js`);
