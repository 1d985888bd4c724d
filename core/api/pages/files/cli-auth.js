"use strict";

const session = new URLSearchParams(location.search).get("session");

const endings = {
  approved: "This sign-in is approved already. Your terminal goes on by itself.",
  consumed: "This sign-in is done.",
  expired: "This code has expired. Start again in your terminal.",
};

/** Shows the sign-in that the address names, or asks for its code. */
async function show() {
  if (!session) {
    $("typed").hidden = false;
    $("typed-code").required = true;
    $("form").hidden = false;
    return;
  }
  let signIn;
  try {
    signIn = await ask("GET", "cli/sign-in/" + encodeURIComponent(session));
  } catch (error) {
    say(error.status === 404 ? "There is no such sign-in, or it is over. Start again in your terminal." : error.message, "bad");
    return;
  }
  if (signIn.status !== "pending") {
    say(endings[signIn.status] || signIn.status, signIn.status === "expired" ? "bad" : "good");
    return;
  }
  $("user-code").textContent = signIn.user_code;
  $("hostname").textContent = signIn.hostname || "not said";
  $("platform").textContent = signIn.platform || "not said";
  $("expires").textContent = new Date(signIn.expires_at).toLocaleTimeString();
  $("waiting").hidden = false;
  $("form").hidden = false;
}

onSubmit(async () => {
  const key = session || $("typed-code").value.trim();
  await ask("POST", "cli/device-code/" + encodeURIComponent(key) + "/approve", { code: $("one-time").value.trim() });
  $("form").hidden = true;
  $("waiting").hidden = true;
  say("Approved. Your terminal goes on by itself; you can close this page.", "good");
});

show();
