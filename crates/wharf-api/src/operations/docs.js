// Everything that would leave this origin is off: fonts, proxy, telemetry, the assistant, links to other tools.
Scalar.createApiReference("#app", {
  url: "/api/openapi.json",
  proxyUrl: "",
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  externalUrls: {},
  authentication: { preferredSecurityScheme: "bearer" },
});
