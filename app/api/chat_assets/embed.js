// Puts a chat into any page: <script src="https://…/c/_/embed.js" data-chat="TOKEN" async></script>
(() => {
  const script = document.currentScript;
  const token = script?.dataset.chat;
  if (!token || !/^[\w.-]{10,200}$/.test(token)) return;
  const origin = new URL(script.src).origin;
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>
    :host { all: initial; }
    button { position: fixed; right: 20px; bottom: 20px; width: 56px; height: 56px; border: 0; border-radius: 50%; cursor: pointer; z-index: 2147483000; background: #00666e; color: #fff; box-shadow: 0 6px 24px rgb(0 0 0 / .25); }
    button:focus-visible { outline: 3px solid #6fc5cf; outline-offset: 2px; }
    svg { width: 26px; height: 26px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    iframe { position: fixed; right: 20px; bottom: 88px; width: min(400px, calc(100vw - 40px)); height: min(620px, calc(100vh - 120px)); border: 1px solid rgb(0 0 0 / .15); border-radius: 12px; background: #fff; z-index: 2147483000; box-shadow: 0 12px 48px rgb(0 0 0 / .3); }
    [hidden] { display: none; }
  </style>
  <iframe hidden allow="clipboard-write"></iframe>
  <button type="button" aria-expanded="false"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M21 12a8 8 0 0 1-11.5 7.2L4 21l1.6-5A8 8 0 1 1 21 12z"/></svg></button>`;
  const frame = root.querySelector("iframe");
  const button = root.querySelector("button");
  frame.title = button.ariaLabel = script.dataset.label || "Chat";
  button.addEventListener("click", () => {
    if (!frame.src) frame.src = `${origin}/c/${token}?site=${encodeURIComponent(location.origin)}`;
    frame.hidden = !frame.hidden;
    button.setAttribute("aria-expanded", String(!frame.hidden));
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !frame.hidden) button.click();
  });
  (document.body || document.documentElement).append(host);
})();
