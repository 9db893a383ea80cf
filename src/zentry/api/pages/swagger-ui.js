// Starts Swagger UI. A file of its own, so that the page's policy needs no inline script.
const root = document.getElementById("reference");
window.SwaggerUIBundle({
  url: root.dataset.document,
  domNode: root,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null, // The badge would send the document to another host.
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
