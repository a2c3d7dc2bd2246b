// The sign-in screen: one sentence, one button, and what went wrong if something did.

const at = (id) => document.getElementById(id);

/** Shows it in place of the chat. The sentence may hold foreign text; it is only ever set as text. */
export function showGate(signIn, sentence) {
  for (const id of ["scroller", "dock", "new-chat", "sign-out", "model"]) at(id).hidden = true;
  at("gate").hidden = false;
  at("gate-reason").textContent = sentence;
  document.title = "Sign in · Playbyplay";
  at("sign-in").onclick = () =>
    signIn.begin().catch(() => {
      at("gate-reason").textContent = "The sign-in could not be begun. It needs a browser that lets this page store data.";
    });
}
