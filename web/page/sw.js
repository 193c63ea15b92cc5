// Keeps the page's own files, so that it works without a network. A new page has a new version, and takes over when it is whole.
const version = "VERSION", files = FILES;
self.addEventListener("install", e => e.waitUntil(caches.open(version).then(c => c.addAll(files.map(f => new Request(f, {cache: "no-cache"})))).then(() => self.skipWaiting())));
self.addEventListener("activate", e => e.waitUntil(caches.keys().then(names => Promise.all(names.filter(n => n !== version).map(n => caches.delete(n)))).then(() => self.clients.claim())));
self.addEventListener("fetch", e => {
  const url = new URL(e.request.url), scope = new URL(self.registration.scope);
  if (e.request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  const name = url.pathname.slice(scope.pathname.length).replace(/^(index\.html)?$/, "./");
  if (files.includes(name)) e.respondWith(caches.match(new URL(name, scope), {ignoreSearch: true}).then(r => r ?? fetch(e.request)));
});
