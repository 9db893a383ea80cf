// Starts ReDoc. A file of its own, so that the page's policy needs no inline script.
const root = document.getElementById("reference");
window.Redoc.init(root.dataset.document, { hideLoading: true }, root);
