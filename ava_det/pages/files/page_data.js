"use strict";

/** Reads the JSON that the page carries, as text or as gzip in base64. */
async function readPageData() {
  const element = document.getElementById("data");
  const text = element.textContent;
  if (element.type === "application/json") return JSON.parse(text);
  const packed = atob(text.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}
