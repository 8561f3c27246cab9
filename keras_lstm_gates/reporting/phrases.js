// The explained text, coloured by what the phrases that begin at each token contribute.

function connectPhrases() {
  if (!content.phrases) return;
  const longest = content.phrases.contributions[0].length, lengths = [...Array(longest).keys()].map((one) => one + 1);
  fill(byId("phrase-length"), lengths.map((one) => [one, `${one}`]));
  byId("phrase-length").value = Math.min(2, longest);
  byId("phrase-length").addEventListener("change", drawPhrases);
  drawPhrases();
}

function drawPhrases() {
  const { tokens, contributions } = content.phrases, length = Number(byId("phrase-length").value);
  const values = contributions.map((row) => row[length - 1]), known = values.filter((one) => one !== null);
  const limit = Math.max(1e-9, ...known.map(Math.abs));
  const largest = values.reduce((best, one, at) => (Math.abs(one ?? 0) > Math.abs(values[best] ?? 0) ? at : best), 0);
  byId("phrase-text").className = tokens.some((token) => token.length > 2) ? "words" : "";
  byId("phrase-text").replaceChildren(...tokens.map((token, at) => {
    const button = document.createElement("button"), colour = values[at] === null ? null : colourOf("c", values[at], limit);
    button.textContent = shown(token);
    if (colour) { button.style.background = colour.background; button.style.color = colour.ink; }
    button.disabled = values[at] === null;
    button.onclick = () => choosePhrase(at);
    return button;
  }));
  if (known.length) choosePhrase(largest); else byId("phrase-said").textContent = "The text is shorter than such a phrase.";
}

function choosePhrase(first) {
  const { tokens, contributions } = content.phrases, length = Number(byId("phrase-length").value);
  const value = contributions[first][length - 1], chosen = tokens.slice(first, first + length);
  const gap = byId("phrase-text").className === "words" ? " " : "";
  [...byId("phrase-text").children].forEach((one, at) => one.classList.toggle("now", at >= first && at < first + length));
  byId("phrase-said").textContent = `“${chosen.map(shown).join(gap)}” ${value < 0 ? "lowers" : "raises"} the answer by ${digits(Math.abs(value))}.`;
}
