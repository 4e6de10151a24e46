// What a figure means, from the catalogue, where a pointer rests on its name.

const meanings = new Map();

function explain(node) {
  node.title = meanings.get(node.dataset.metric) ?? "";
}

export function named(node, metric) {
  node.dataset.metric = metric;
  explain(node);
  return node;
}

export async function learnMeanings() {
  const answer = await fetch("/api/v1/catalogue", { signal: AbortSignal.timeout(8000) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  for (const { metric, title, definition } of (await answer.json()).metrics) meanings.set(metric, `${title}: ${definition}`);
  document.querySelectorAll("[data-metric]").forEach(explain);
}
