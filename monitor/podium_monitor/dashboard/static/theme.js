// Before the first paint: the theme that was chosen here, if one was. Else the style sheet follows the system's.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("podium-theme"); } catch { /* storage is off: the system's theme it is */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
