"""Metrics that are no sum over sum, each as one SQL statement by the words of spec/metrics.md.

Each statement gives the dimensions asked for and `value`; `{start}` and `{end}` bound the window in ms, `{where}` holds
the same as a condition on `ms`.
"""

# ruff: noqa: S608 - every word of the SQL is ours, or an id of a recording that we made
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.oracle.duck_tables import CLOCK

PRODUCT: Final = ("product",)
CONTENT: Final = ("content",)
LABEL: Final = "SELECT txt(value, '$.product_id') AS product, {label} AS value FROM product"


@dataclass(frozen=True)
class Single:
    """One question.

    Attributes:
        metric, by: what is asked.
        sql: the answer.
        window: of the question; empty: each window of the recording.
        compare: with what.
    """

    metric: str
    by: tuple[str, ...]
    sql: str
    window: str = ""
    compare: str = ""


_VIEWERS: Final = """
WITH viewed AS (SELECT DISTINCT product, day, user_key FROM traffic
    WHERE kind = 'product_page_view' AND user_key IS NOT NULL AND {where}),
added AS (SELECT DISTINCT product, day, user_key, true AS adds FROM traffic
    WHERE kind = 'add_to_cart' AND user_key IS NOT NULL AND {where})
SELECT DIMS, count(adds) / count(*) AS value FROM viewed LEFT JOIN added USING (product, day, user_key) GROUP BY DIMS
"""
_RANGE: Final = """
SELECT DIMS, CASE WHEN sum(goods + shipping) < 100000 THEN '<1k' WHEN sum(goods + shipping) < 500000 THEN '1k-5k'
  WHEN sum(goods + shipping) < 1000000 THEN '5k-10k' WHEN sum(goods + shipping) < 3000000 THEN '10k-30k'
  WHEN sum(goods + shipping) < 10000000 THEN '30k-100k' ELSE '>=100k' END AS value
FROM lines WHERE {where} GROUP BY DIMS
"""
_BEST: Final = """
WITH clicked AS (SELECT DIMS, slice, count(*) AS clicks FROM (SELECT *, unnest(slices) AS slice FROM traffic)
    WHERE kind = 'product_click' AND {where} GROUP BY ALL HAVING count(*) >= 100),
sold AS (SELECT DIMS, slice, sum(goods + shipping) AS paid, sum(CAST(first_of_sku AS INTEGER)) AS sku_orders
    FROM (SELECT *, unnest(slices) AS slice FROM lines) WHERE {where} GROUP BY ALL)
SELECT DIMS, arg_max(slice, (coalesce(sku_orders, 0) / clicks, coalesce(paid, 0))) AS value
FROM clicked LEFT JOIN sold USING (DIMS, slice) WHERE slice NOT IN ('all', 'affiliate') GROUP BY DIMS
"""
_GROWTH: Final = """
WITH lives AS (SELECT content, account, creator, ms, ended FROM posted WHERE format = 'live' AND ms IS NOT NULL),
sold AS (SELECT content, sum(goods + shipping) AS paid FROM lines WHERE format = 'live' GROUP BY content),
pairs AS (SELECT l.content, l.account, l.creator, l.ms, arg_max(p.content, p.ms) AS previous
    FROM lives AS l LEFT JOIN lives AS p ON p.account = l.account AND p.ms < l.ms AND p.ended IS NOT NULL GROUP BY ALL)
SELECT {heads} (coalesce(sum(a.paid) FILTER (WHERE previous IS NOT NULL), 0) - sum(b.paid)) / nullif(sum(b.paid), 0)
    AS value
FROM pairs LEFT JOIN sold AS a ON a.content = pairs.content LEFT JOIN sold AS b ON b.content = previous
WHERE {where} {known} {groups}
"""
_LIFT: Final = """
WITH pushes AS (SELECT content, product, CAST((ms + 450000) // 900000 * 900000 AS BIGINT) AS pushed
  FROM contents_by_product WHERE {where}),
bought AS (SELECT product, ms, 1 AS orders, 0 AS clicks FROM lines WHERE first_of_sku
  UNION ALL SELECT product, ms, 0, 1 FROM traffic WHERE kind = 'product_click'),
sums AS (SELECT content, pushes.product,
    coalesce(sum(orders) FILTER (WHERE ms >= pushed), 0) AS orders_after,
    coalesce(sum(orders) FILTER (WHERE ms < pushed), 0) AS orders_before,
    coalesce(sum(clicks) FILTER (WHERE ms >= pushed), 0) AS clicks_after,
    coalesce(sum(clicks) FILTER (WHERE ms < pushed), 0) AS clicks_before
  FROM pushes LEFT JOIN bought ON bought.product = pushes.product
    AND ms >= pushed - 3600000 AND ms < pushed + 3600000
  WHERE pushed + 3600000 <= getvariable('now') GROUP BY ALL)
SELECT {heads} sum(orders_after) / nullif(sum(clicks_after), 0)
  / nullif(sum(orders_before) / nullif(sum(clicks_before), 0), 0) - 1 AS value FROM sums {groups}
"""
_BENCHMARKED: Final = "('atc_rate', 'ctr', 'ctor')"
_AGAINST: Final = f"""
WITH own AS (SELECT count(*) FILTER (WHERE kind = 'add_to_cart') AS adds,
    count(*) FILTER (WHERE kind = 'product_click') AS clicks,
    count(*) FILTER (WHERE kind = 'product_impression') AS shown FROM traffic WHERE {{where}}),
sold AS (SELECT count(*) FILTER (WHERE first_of_sku) AS sku_orders FROM lines WHERE {{where}}),
told AS (SELECT txt(value, '$.metric') AS metric, txt(value, '$.group') AS "group",
    CAST(txt(value, '$.value') AS DOUBLE) AS level FROM benchmark WHERE txt(value, '$.benchmark_day') = '2026-11-26')
SELECT metric, "group", (CASE metric WHEN 'atc_rate' THEN adds / clicks WHEN 'ctr' THEN clicks / shown
  WHEN 'ctor' THEN sku_orders / clicks END - level) / level AS value
FROM told, own, sold WHERE metric IN {_BENCHMARKED}
"""
_AGE: Final = """
SELECT txt(value, '$.metric') AS metric, txt(value, '$.group') AS "group",
  date_diff('day', max(CAST(txt(value, '$.benchmark_day') AS DATE)), DATE '2026-11-27') AS value
FROM benchmark WHERE CAST(txt(value, '$.benchmark_day') AS DATE) <= DATE '2026-11-26' GROUP BY ALL
"""
_STOCK: Final = """
SELECT {heads} sum(level) AS value FROM (SELECT txt(value, '$.sku_id') AS sku, txt(value, '$.product_id') AS product,
  num(value, '$.available') AS level FROM stock_changed) {groups}
"""
_CAMPAIGN: Final = """
WITH named AS (SELECT txt(value, '$.campaign_id') AS campaign, num(value, '$.ends_at_ms') AS ends,
  midnight_ms(CAST(wall(num(value, '$.starts_at_ms')) AS DATE)) AS starts,
  CAST(txt(value, '$.target_value') AS DOUBLE) AS target FROM campaign)
SELECT campaign, FIGURE AS value FROM named
"""
_WATCHING: Final = """
WITH latest AS (SELECT content, account, arg_max(concurrent, e.ms) AS watching, max(e.ms) AS told
  FROM engagement AS e JOIN (SELECT content, ended, ms AS began FROM posted WHERE format = 'live') USING (content)
  WHERE ended IS NULL AND concurrent IS NOT NULL AND e.ms >= began GROUP BY ALL)
SELECT {heads} sum(watching) AS value FROM latest WHERE told > getvariable('now') - 300000 {groups}
"""
_LEVELS: Final = """
WITH heard AS (SELECT min(ms) // STEP * STEP AS first, max(ms) AS last FROM levels WHERE {where}),
spans AS (SELECT LABEL AS label, min(ms) AS begins, least(max(ms) + STEP, getvariable('now') + 1) AS ends
    FROM (SELECT ms, CLOCK FROM (SELECT unnest(generate_series(first, last, STEP)) AS ms FROM heard))
    WHERE {where} GROUP BY 1),
told AS (SELECT label, account, arg_max(followers, ms) FILTER (WHERE ms < ends) AS last,
    coalesce(arg_max(followers, ms) FILTER (WHERE ms <= begins), arg_min(followers, ms) FILTER (WHERE ms < ends))
      AS first
  FROM spans, levels GROUP BY ALL)
SELECT {heads} FIGURE AS value FROM told WHERE last IS NOT NULL {groups}
"""


def _by(template: str, *dims: str) -> str:
    return template.replace("USING (DIMS, slice)", f"USING ({', '.join(dims)}, slice)").replace(
        "DIMS", ", ".join(dims)
    )


def _headed(template: str, *dims: str) -> str:
    heads = "".join(f"{dim}, " for dim in dims)
    groups = f"GROUP BY {', '.join(dims)}" if dims else ""
    return template.replace("{heads}", heads).replace("{groups}", groups)


def _grown(*dims: str) -> str:
    heads = "".join(f"pairs.{dim}, " for dim in dims)
    groups = f"GROUP BY {', '.join(f'pairs.{dim}' for dim in dims)}" if dims else "HAVING count(*) > 0"
    known = "".join(f"AND pairs.{dim} IS NOT NULL " for dim in dims)
    return _GROWTH.replace("{heads}", heads).replace("{groups}", groups).replace("{known}", known)


def _levels(figure: str, dim: str) -> str:
    """Return followers by the end of each row; rows of time reach from the first to the last record of the window."""
    shown, timed = dim or "'all'", dim not in ("", "account")
    sql = _LEVELS
    if not timed:
        spans = "SELECT 'all' AS label, {start} AS begins, least({end}, getvariable('now') + 1) AS ends"
        sql = f"WITH spans AS ({spans}), " + sql[sql.index("told AS") :]
    heads = f"label AS {dim}, " if timed else "account, " if dim else ""
    groups = "GROUP BY label" if timed else "GROUP BY account" if dim else ""
    step = "60000" if dim == "minute" else "3600000"
    for word, text in {"{heads}": heads, "{groups}": groups, "LABEL": shown, "STEP": step}.items():
        sql = sql.replace(word, text)
    return sql.replace("FIGURE", figure).replace("CLOCK", CLOCK)


def _recent(figure: str, dim: str) -> str:
    """Return a sum over the last quarter hour."""
    if not dim:
        return f"SELECT {figure} AS value FROM lines WHERE {{recent}}"
    rows = "(SELECT *, unnest(slices) AS slice FROM lines)" if dim == "slice" else "lines"
    return (
        f"SELECT {dim}, {figure} AS value FROM {rows} WHERE {{recent}} AND {dim} IS NOT NULL GROUP BY {dim}"
    )


_RECENT_DIMS: Final = (
    *("", "product", "sku", "slice", "leaf", "owner", "creator", "content", "variant"),
    *("sub_campaign", "territory", "status"),
)
_GROWN: Final = "(sum(last) - sum(first)) / nullif(sum(first), 0)"
_LEVEL_DIMS: Final = ("", "account", "month", "week", "day", "hour")

SINGLES: Final[tuple[Single, ...]] = (
    *(Single("atc_rate_pdp", dims, _by(_VIEWERS, *dims)) for dims in (PRODUCT, ("day", "product"))),
    *(
        Single("product_gmv_range", dims, _by(_RANGE, *dims))
        for dims in (PRODUCT, *((grain, "product") for grain in ("day", "week", "month")))
    ),
    *(
        Single("best_format", dims, _by(_BEST, *dims))
        for dims in (PRODUCT, *((grain, "product") for grain in ("day", "week", "month")))
    ),
    Single("product_status", PRODUCT, LABEL.format(label="txt(value, '$.status')"), "all"),
    Single("product_rating", PRODUCT, LABEL.format(label="CAST(txt(value, '$.rating') AS DOUBLE)"), "all"),
    Single(
        "product_opportunity_matched",
        PRODUCT,
        LABEL.format(
            label="CASE txt(value, '$.opportunity_matched') WHEN 'true' THEN 'matched' "
            "WHEN 'false' THEN 'not_matched' END"
        ),
        "all",
    ),
    *(
        Single("live_gmv_growth_pct", dims, _grown(*dims))
        for dims in ((), CONTENT, ("creator",), ("account",), ("creator", "content"))
    ),
    *(Single("content_push_lift", dims, _headed(_LIFT, *dims)) for dims in ((), CONTENT, PRODUCT)),
    Single(
        "key_session_flag",
        CONTENT,
        "SELECT content, CASE WHEN format = 'live' THEN if(key_session = 'true', 'key_session', 'usual') END AS value "
        "FROM posted",
        "all",
    ),
    Single(
        "creator_type",
        ("creator",),
        "SELECT txt(value, '$.creator_id') AS creator, txt(value, '$.creator_type') AS value FROM account "
        "WHERE txt(value, '$.creator_id') IS NOT NULL",
        "all",
    ),
    *(Single("followers", (dim,) if dim else (), _levels("sum(last)", dim)) for dim in _LEVEL_DIMS),
    *(Single("follower_growth_rate", (dim,) if dim else (), _levels(_GROWN, dim)) for dim in _LEVEL_DIMS),
    Single("followers", ("minute",), _levels("sum(last)", "minute"), "today"),
    Single("follower_growth_rate", ("minute",), _levels(_GROWN, "minute"), "today"),
    *(Single("viewers_now", dims, _headed(_WATCHING, *dims), "all") for dims in ((), CONTENT, ("account",))),
    *(Single("stock_on_hand", dims, _headed(_STOCK, *dims), "all") for dims in ((), PRODUCT, ("sku",))),
    Single("campaign_target", ("campaign",), _CAMPAIGN.replace("FIGURE", "target"), "all"),
    Single(
        "goal_progress_pct",
        ("campaign",),
        _CAMPAIGN.replace(
            "FIGURE",
            "(SELECT sum(goods + shipping) / 100 FROM lines WHERE ms >= starts AND ms < ends) / target",
        ),
        "all",
    ),
    Single(
        "gmv_vs_baseline_pct",
        (),
        "SELECT sum(goods + shipping) FILTER (WHERE {where}) / sum(goods + shipping) FILTER (WHERE day = '2026-11-20')"
        " - 1 AS value FROM lines",
        "day:2026-11-27",
        "baseline:2026-11-20",
    ),
    # No record of the month before: there is nothing to compare with, and that is not zero.
    Single("sales_volume_mom_pct", (), "SELECT NULL AS value", "month"),
    Single("period_sales_goal_pct", (), "SELECT NULL AS value", "all"),
    Single("quarter_revenue_target_pct", (), "SELECT NULL AS value", "all"),
    Single("metric_vs_benchmark_pct", ("metric", "group"), _AGAINST, "day:2026-11-26"),
    Single("benchmark_age_days", ("metric", "group"), _AGE, "day:2026-11-26"),
    Single(
        "records_in",
        ("topic",),
        "SELECT replace(topic, 'cm.', '') AS topic, count(*) AS value FROM raw GROUP BY topic",
        "all",
    ),
    *(
        Single(metric, (dim,) if dim else (), _recent(sql, dim), "all")
        for metric, sql in (
            ("gmv_last_15m", "coalesce(sum(goods + shipping), 0) / 100"),
            ("orders_last_15m", "count(DISTINCT order_id)"),
        )
        for dim in _RECENT_DIMS
    ),
)
