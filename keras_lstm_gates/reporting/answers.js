// What the model answered, and how far that is from the target.

const few = (value) => (value === null ? "?" : String(value).replace("-", "−"));

function sayAnswer() {
  const { shape, total } = layerNow(), lines = [];
  // A layer that runs within each step counts its samples otherwise than the model.
  for (const answer of total === content.samples ? content.answers : []) {
    if (answer.steps && answer.best?.[0]?.length !== shape[1] && answer.numbers?.[0]?.length !== shape[1]) continue;
    const at = (rows) => (rows === null || rows === undefined ? null : answer.steps ? rows[view.sample][view.step] : rows[view.sample]);
    const name = content.answers.length > 1 ? `${answer.name}: ` : "", when = answer.steps ? "At this step the model" : "The model";
    lines.push(name + (answer.best ? sayClass(answer, at, when) : sayNumbers(answer, at, when)));
  }
  byId("answer").textContent = lines.join(" ");
}

function sayClass(answer, at, when) {
  const said = `${when} answers class ${at(answer.best)}, p = ${digits(at(answer.probability))}.`;
  if (answer.target === null) return said;
  const p = at(answer.of_target), loss = (one) => -Math.log(Math.max(one, 1e-12));
  const told = `${said} The target is class ${at(answer.target)}, p = ${digits(p)}: cross-entropy −ln p = ${digits(loss(p))}`;
  if (!answer.steps) return `${told}.`;
  const sum = realSteps().reduce((all, step) => all + loss(answer.of_target[view.sample][step]), 0);
  return `${told}; summed over the ${realSteps().length} steps ${digits(sum, 2)}.`;
}

function sayNumbers(answer, at, when) {
  const list = (numbers) => numbers.map(few).join(", ") + (answer.count > numbers.length ? ", …" : "");
  const said = `${when} answers ${list(at(answer.numbers))}${answer.count > 1 ? ` (${answer.count} numbers)` : ""}.`;
  return answer.target === null ? said : `${said} The target is ${list(at(answer.target))}: mean absolute error ${few(at(answer.error))}.`;
}
