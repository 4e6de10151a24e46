"""What a person could have seen on the wall: a script in the page keeps it, so that no look comes too late."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.browser.devtools import Page

WATCH: Final = """
(() => {
  const graphics = new Set(["goal-track", "goal-fill", "goal-tick"]);
  const shown = (node) => node.checkVisibility();
  const text = (node) => node.textContent.trim();
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const value = (node, name) => Number(node.querySelector(`[data-slot="${name}"]`)?.dataset.value ?? NaN);
  const seen = { looks: 0, clocks: [], empty: {}, without: {}, zero: {}, feeds: {}, pages: {}, judged: {} };
  window.seen = seen;
  const look = () => {
    if (document.body.dataset.connection !== "live") return;
    const clock = text(document.querySelector('[data-slot="clock"]'));
    seen.looks += 1;
    if (seen.clocks.at(-1) !== clock) seen.clocks.push(clock);
    for (const node of all("[data-slot]")) {
      const name = node.dataset.slot;
      if (!graphics.has(name) && !text(node) && !node.querySelector("canvas")) seen.empty[name] ??= clock;
      if (node.dataset.value === "0" && !name.startsWith("slice-")) seen.zero[name] ??= clock;
    }
    for (const node of all(".needs, .reason")) seen.without[node.closest("[data-panel]").dataset.panel] ??= text(node);
    for (const node of all(".feed")) (seen.feeds[node.dataset.topic] ??= {})[node.dataset.state] ??= clock;
    for (const node of all(".page")) {
      const page = { state: node.dataset.state, clock, title: text(node.querySelector(".title")) };
      for (const name of ["page-at", "page-predicted", "page-real"]) page[name] = value(node, name);
      (seen.pages[`${node.dataset.rule} ${page.title}`] ??= []).push(page);
    }
    for (const node of all('[data-slot="judge"]')) seen.judged[text(node)] ??= clock;
  };
  const everything = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(look).observe(document.body, everything);
  look();
})()
"""

FIGURES: Final = """
Object.fromEntries([...document.querySelectorAll("[data-slot]")]
  .filter((node) => node.dataset.value !== undefined && !node.closest(".page"))
  .map((node) => [node.dataset.slot, { value: Number(node.dataset.value), text: node.textContent.trim() }]))
"""

STOCK: Final = """
Object.fromEntries([...document.querySelectorAll("tr[data-sku]")].map((row) => {
  const left = Number(row.children[2].textContent.replaceAll(",", ""));
  return [row.dataset.sku, { status: row.dataset.status, left }];
}))
"""

TEXTS: Final = """
Object.fromEntries([...document.querySelectorAll("[data-slot]")].map((node) => [node.dataset.slot, node.innerText]))
"""

STILL_S: Final = 3.0


@dataclass
class Wall:
    """What was on the wall.

    Attributes:
        seen: while it moved: clocks, empty slots, zeros, panels without a source, states of feeds, pages, verdicts.
        figures: when it stood still: slot -> value and text.
        stock: likewise, SKU -> status and units left.
        texts: likewise, slot -> text.
        overview: the document behind it.
        faults: of the page, in its console.
        asked: addresses that it asked for.
    """

    seen: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    stock: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    overview: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


async def watch(page: Page, url: str) -> None:
    """Open the wall and begin to keep what it shows, from its first figures on."""
    await page.open(url)
    await until(page, 'document.querySelector("[data-slot=gmv]").textContent.trim() !== ""', within_s=20)
    await page.evaluate(WATCH)


async def until(page: Page, condition: str, *, within_s: float) -> None:
    """Wait until a JavaScript condition holds in the page."""
    deadline = time.monotonic() + within_s
    while not await page.evaluate(condition):
        assert time.monotonic() < deadline, f"never true within {within_s:g} s: {condition}"
        await asyncio.sleep(0.1)


async def at_rest(page: Page, *, within_s: float) -> Wall:
    """Wait until nothing on the wall moves, and return it."""
    deadline = time.monotonic() + within_s
    before, since = "", time.monotonic()
    while time.monotonic() - since < STILL_S:
        assert time.monotonic() < deadline, "the wall does not come to rest"
        now = await page.evaluate("document.body.innerText")
        if now != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(0.2)
    return Wall(
        seen=await page.evaluate("window.seen"),
        figures=await page.evaluate(FIGURES),
        stock=await page.evaluate(STOCK),
        texts=await page.evaluate(TEXTS),
        overview=await page.evaluate("fetch('/api/v1/overview').then((answer) => answer.json())"),
        faults=list(page.faults),
        asked=list(page.asked),
    )
