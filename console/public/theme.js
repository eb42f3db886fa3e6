// Before the first paint, so that a page in the dark theme does not flash white.
(() => {
  try {
    const theme = localStorage.getItem("llmgw.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden: the system's theme is used.
  }
})();

// A page that the browser or a proxy kept from before an upgrade names files that are gone; nothing else of the
// console is there then to say so.
addEventListener(
  "error",
  ({ target }) => {
    const isFile = target instanceof HTMLScriptElement || target instanceof HTMLLinkElement;
    const place = document.getElementById("app");
    if (!isFile || place === null || place.childElementCount > 0) return;
    const isChinese = navigator.language.toLowerCase().startsWith("zh");
    const told = document.createElement("p");
    told.setAttribute("role", "alert");
    told.textContent = isChinese
      ? "控制台没有加载完整：网关可能刚刚升级。请重新加载页面。"
      : "The console did not load: the gateway may have been upgraded. Load the page again.";
    const again = document.createElement("button");
    again.textContent = isChinese ? "重新加载页面" : "Load the page again";
    again.addEventListener("click", () => location.reload());
    place.replaceChildren(told, again);
  },
  true,
);
