"use strict";

onSubmit(async () => {
  const made = await ask("POST", "cli/token", { code: $("one-time").value.trim() });
  $("form").hidden = true;
  $("token").value = made.token;
  $("expires").textContent = new Date(made.expires_at).toLocaleDateString();
  $("made").hidden = false;
  $("token").focus();
  $("token").select();
});

$("copy").addEventListener("click", async () => {
  $("token").select();
  try {
    await navigator.clipboard.writeText($("token").value);
    say("Copied.", "good");
  } catch {
    say("The browser does not let a page copy here: press Ctrl-C or ⌘C.", "bad");
  }
});

$("form").hidden = false;
