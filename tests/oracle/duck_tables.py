"""The lines of a recording as DuckDB tables: what counts of them, by spec/events.md and spec/decisions.md alone.

A traffic event counts again only later than ten minutes after its id came before; of all other records the greatest
(version, occurred_at_ms) of a key counts. Every table has `ms` (the bucket time of its kind), the labels of the
shop's clock, and the dimensions that its records tell.
"""

# ruff: noqa: S608 - every word of the SQL is ours, or an id of a recording that we made
from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

REPEAT_MS: Final = 600_000

MACROS: Final = """
CREATE MACRO kind_of(owner, format) AS CASE
  WHEN owner = 'seller' AND format IN ('live', 'video', 'product_card') THEN 'seller_' || format
  WHEN owner = 'affiliate' AND format IN ('live', 'video') THEN 'affiliate_' || format
  WHEN owner = 'affiliate' THEN 'affiliate_other'
  ELSE 'other' END;
CREATE MACRO leaf_of(owner, format, surface) AS
  CASE WHEN surface = 'shop_tab' THEN 'shop_tab' ELSE kind_of(owner, format) END;
CREATE MACRO slices_of(owner, format, surface) AS list_filter([
  'all',
  CASE WHEN kind_of(owner, format) NOT IN ('affiliate_other', 'other') THEN kind_of(owner, format) END,
  CASE WHEN owner = 'affiliate' THEN 'affiliate' END,
  CASE WHEN surface = 'shop_tab' THEN 'shop_tab' END], x -> x IS NOT NULL);
CREATE MACRO owner_of(owner, format) AS CASE
  WHEN owner = 'affiliate' THEN 'affiliate'
  WHEN owner = 'seller' AND format IN ('live', 'video', 'product_card') THEN 'own' END;
CREATE MACRO txt(value, path) AS json_extract_string(value, path);
CREATE MACRO num(value, path) AS CAST(json_extract_string(value, path) AS BIGINT);
CREATE MACRO wall(ms) AS timezone(getvariable('zone'), to_timestamp(ms / 1000));
CREATE MACRO off_minutes(ms) AS date_diff('minute', timezone('UTC', to_timestamp(ms / 1000)), wall(ms));
CREATE MACRO off_text(ms) AS CASE WHEN off_minutes(ms) < 0 THEN '-' ELSE '+' END
  || printf('%02d:%02d', abs(off_minutes(ms)) // 60, abs(off_minutes(ms)) % 60);
CREATE MACRO midnight_ms(d) AS
  CAST(epoch_ms(timezone(getvariable('zone'), CAST(d AS TIMESTAMP))) AS BIGINT);
"""

CLOCK: Final = """
strftime(wall(ms), '%Y-%m') AS month,
strftime(CAST(wall(ms) AS DATE) - CAST(dayofweek(wall(ms)) AS INTEGER), '%Y-%m-%d') AS week,
strftime(wall(ms), '%Y-%m-%d') AS day,
strftime(wall(ms), '%Y-%m-%dT%H') || off_text(ms) AS hour,
strftime(wall(ms), '%Y-%m-%dT%H:%M') || off_text(ms) AS minute
"""

_PLACE: Final = """
leaf_of(owner, format, surface) AS leaf, slices_of(owner, format, surface) AS slices,
owner_of(owner, format) AS owner, format, creator_id AS creator, content_id AS content,
sub_campaign_id AS sub_campaign
"""
"""The dimensions of a source block."""


def _fields(value: str) -> str:
    """Return the fields of the source block of a JSON value as columns."""
    names = ("owner", "format", "surface", "creator_id", "content_id", "sub_campaign_id")
    return ", ".join(f"txt({value}, '$.source.{name}') AS {name}" for name in names)


def _winner(kind: str, keys: str, version: str = "0") -> str:
    """Return the records of a kind that count, each key once."""
    parts = ", ".join(f"coalesce(txt(value, '$.{name}'), '')" for name in keys.split())
    over = f"(PARTITION BY {parts} ORDER BY {version} DESC, num(value, '$.occurred_at_ms') DESC, received_ms)"
    return f"(SELECT * FROM raw WHERE kind = '{kind}' QUALIFY row_number() OVER {over} = 1)"


_KEYS: Final = {
    "order_paid": ("order_id", "0"),
    "order_status": ("order_id status", "num(value, '$.seq')"),
    "refund": ("refund_id line_id", "0"),
    "checkout_started": ("checkout_id", "0"),
    "content": ("content_id state", "num(value, '$.occurred_at_ms')"),
    # Engagement by age and gender are parts of a bucket: with the bucket alone as key only one of them would count.
    "content_engagement": ("content_id bucket_start_ms territory age_band gender", "0"),
    "violation": ("violation_id state", "num(value, '$.occurred_at_ms')"),
    "follower": ("account_id occurred_at_ms", "0"),
    "account": ("account_id", "num(value, '$.version')"),
    "product": ("product_id", "num(value, '$.version')"),
    "campaign": ("campaign_id", "num(value, '$.version')"),
    "ad_metric": ("ad_account_id ad_id bucket_start_ms", "num(value, '$.revision')"),
    "ad_account_selected": ("shop_id", "num(value, '$.version')"),
    "benchmark": ("category gmv_tier group period metric benchmark_day", "num(value, '$.published_at_ms')"),
    "stock_changed": (
        "sku_id warehouse_id",
        "coalesce(num(value, '$.version'), num(value, '$.occurred_at_ms'))",
    ),
}

TABLES: Final = {
    **{name: f"SELECT received_ms, value FROM {_winner(name, *key)}" for name, key in _KEYS.items()},
    "seen": f"""
SELECT kind, received_ms, txt(value, '$.event_id') AS event_id, num(value, '$.occurred_at_ms') AS ms,
  txt(value, '$.user_key') AS user_key, txt(value, '$.product_id') AS product,
  txt(value, '$.territory') AS territory,
  CASE WHEN kind IN ('product_click', 'add_to_cart') THEN txt(value, '$.sku_id') END AS sku, {_fields("value")}
FROM raw WHERE kind IN ('product_impression', 'product_click', 'product_page_view', 'add_to_cart')
QUALIFY coalesce(received_ms - lag(received_ms) OVER (PARTITION BY kind, event_id ORDER BY received_ms) > {REPEAT_MS},
  true)""",
    "posted": """
WITH states AS (SELECT txt(value, '$.content_id') AS content, txt(value, '$.state') AS state,
    num(value, '$.occurred_at_ms') AS occurred, value FROM content),
latest AS (SELECT * FROM states QUALIFY row_number() OVER (PARTITION BY content ORDER BY occurred DESC,
    list_position(['published', 'live_started', 'live_ended', 'removed'], state) DESC) = 1),
began AS (SELECT content, coalesce(num(value, '$.started_at_ms'), occurred) AS ms FROM states
    WHERE state = CASE WHEN txt(value, '$.kind') = 'video' THEN 'published' ELSE 'live_started' END),
ended AS (SELECT content, num(value, '$.ended_at_ms') AS ended FROM states WHERE state = 'live_ended'),
featured AS (SELECT content, list_distinct(flatten(list(from_json(value->'$.product_ids', '["VARCHAR"]')))) AS products
    FROM states GROUP BY content)
SELECT content, began.ms, CASE WHEN ended >= began.ms THEN ended END AS ended, txt(value, '$.kind') AS format,
  txt(value, '$.account_id') AS account,
  txt(value, '$.account_kind') AS account_kind, txt(value, '$.creator_id') AS creator,
  txt(value, '$.variant') AS variant, txt(value, '$.sub_campaign_id') AS sub_campaign,
  txt(value, '$.key_session') AS key_session, products,
  CASE WHEN txt(value, '$.account_kind') IN ('marketing', 'linked') THEN 'seller'
    WHEN txt(value, '$.account_kind') = 'affiliate' THEN 'affiliate' ELSE 'none' END AS side
FROM latest LEFT JOIN began USING (content) LEFT JOIN ended USING (content) LEFT JOIN featured USING (content)""",
    "traffic": f"""
SELECT kind, ms, received_ms, user_key, product, sku, territory, {_PLACE}, {CLOCK},
  posted.variant
FROM seen LEFT JOIN (SELECT content AS content_id, variant FROM posted) AS posted USING (content_id)""",
    "state_of": """
SELECT txt(value, '$.order_id') AS order_id,
  arg_max(txt(value, '$.status'), (num(value, '$.seq'), num(value, '$.occurred_at_ms'))) AS status,
  bool_or(txt(value, '$.status') = 'cancelled') AS cancelled
FROM order_status GROUP BY 1""",
    "unnested": f"""
WITH headed AS (SELECT received_ms, txt(value, '$.order_id') AS order_id, num(value, '$.paid_at_ms') AS ms,
  num(value, '$.created_at_ms') AS created_at, txt(value, '$.customer_id') AS who,
  txt(value, '$.user_key') AS user_key, txt(value, '$.territory') AS territory,
  from_json(value->'$.lines', '["JSON"]') AS all_lines FROM order_paid)
SELECT * EXCLUDE (line), txt(line, '$.line_id') AS line_id, txt(line, '$.product_id') AS product,
  txt(line, '$.sku_id') AS sku,
  num(line, '$.quantity') AS quantity, num(line, '$.goods_paid_minor') AS goods,
  num(line, '$.shipping_paid_minor') AS shipping, num(line, '$.tax_minor') AS tax,
  num(line, '$.cofund_product_minor') + num(line, '$.cofund_shipping_minor') AS cofunding,
  txt(line, '$.ad_id') AS ad, {_fields("line")}
FROM (SELECT * EXCLUDE (all_lines), unnest(all_lines) AS line FROM headed)""",
    "lines": f"""
SELECT received_ms, order_id, ms, created_at, who, user_key, territory, line_id, product, sku, quantity, goods,
  shipping, tax, cofunding, ad,
  row_number() OVER (PARTITION BY order_id, sku ORDER BY line_id) = 1 AS first_of_sku,
  coalesce(state_of.status, 'paid') AS status, coalesce(cancelled, false) AS cancelled,
  {_PLACE}, {CLOCK}, posted.variant
FROM unnested LEFT JOIN state_of USING (order_id)
LEFT JOIN (SELECT content AS content_id, variant FROM posted) AS posted USING (content_id)""",
    "refunds": f"""
SELECT num(r.value, '$.processed_at_ms') AS ms, txt(r.value, '$.customer_id') AS who,
  txt(r.value, '$.product_id') AS product, txt(r.value, '$.sku_id') AS sku,
  num(r.value, '$.quantity') AS quantity,
  num(r.value, '$.amount_minor') + num(r.value, '$.shipping_minor') AS amount,
  coalesce(leaf, 'other') AS leaf, coalesce(slices, ['all']) AS slices, owner, creator, content, sub_campaign,
  territory, variant, coalesce(state_of.status, 'paid') AS status, l.ad,
  {CLOCK.replace("(ms)", "(num(r.value, '$.processed_at_ms'))")}
FROM refund AS r LEFT JOIN (SELECT * EXCLUDE (ms, who, product, sku, quantity, status, month, week, day, hour, minute)
  FROM lines) AS l ON l.order_id = txt(r.value, '$.order_id') AND l.line_id = txt(r.value, '$.line_id')
LEFT JOIN state_of ON state_of.order_id = txt(r.value, '$.order_id')""",
    "contents": f"""
SELECT *, leaf_of(side, format, '') AS leaf, slices_of(side, format, '') AS slices,
  owner_of(side, format) AS owner, {CLOCK} FROM posted WHERE ms IS NOT NULL""",
    "contents_by_product": "SELECT * EXCLUDE (products), unnest(products) AS product FROM contents",
    "content_days": f"""
SELECT * EXCLUDE (month, week, day, hour, minute), {CLOCK} FROM (
  SELECT * EXCLUDE (ms), CASE WHEN d = CAST(wall(ms) AS DATE) THEN ms ELSE midnight_ms(d) END AS ms
  FROM (SELECT *, unnest(generate_series(CAST(wall(ms) AS DATE),
    CAST(wall(CASE WHEN ended > ms THEN ended - 1 ELSE ms END) AS DATE), INTERVAL 1 DAY)) AS d FROM contents))""",
    "engagement": f"""
SELECT e.*, {CLOCK}, format, account, creator, variant, sub_campaign,
  leaf_of(coalesce(side, 'none'), format, '') AS leaf, slices_of(coalesce(side, 'none'), format, '') AS slices,
  owner_of(side, format) AS owner
FROM (SELECT txt(value, '$.content_id') AS content, num(value, '$.bucket_start_ms') AS ms,
  num(value, '$.views') AS views, num(value, '$.likes') AS likes, num(value, '$.comments') AS comments,
  num(value, '$.shares') AS shares, num(value, '$.saves') AS saves,
  CAST(round(CAST(txt(value, '$.watch_seconds') AS DOUBLE) * 1000) AS BIGINT) AS watch_ms,
  from_json(value->'$.viewer_keys', '["VARCHAR"]') AS viewers, num(value, '$.concurrent_viewers') AS concurrent,
  txt(value, '$.territory') AS territory, txt(value, '$.age_band') AS age_band, txt(value, '$.gender') AS gender
  FROM content_engagement) AS e
LEFT JOIN (SELECT content, format, side, account, creator, variant, sub_campaign FROM posted) USING (content)""",
    "views_by_viewer": "SELECT * EXCLUDE (viewers), unnest(viewers) AS viewer FROM engagement",
    "accused": f"""
WITH states AS (SELECT txt(value, '$.violation_id') AS violation_id, txt(value, '$.state') AS state,
    num(value, '$.occurred_at_ms') AS occurred, value FROM violation)
SELECT o.occurred AS ms, txt(o.value, '$.content_id') AS content, txt(o.value, '$.account_id') AS account,
  r.occurred IS NULL OR r.occurred < o.occurred AS is_open,
  coalesce(p.creator, txt(a.value, '$.creator_id')) AS creator,
  CASE WHEN coalesce(p.side, txt(a.value, '$.kind')) IN ('seller', 'marketing', 'linked') THEN 'seller'
    ELSE coalesce(p.side, txt(a.value, '$.kind'), 'none') END AS party,
  CASE txt(o.value, '$.content_kind') WHEN 'listing' THEN 'product_card' WHEN 'caption' THEN p.format
    ELSE txt(o.value, '$.content_kind') END AS shown,
  leaf_of(party, shown, '') AS leaf, slices_of(party, shown, '') AS slices, owner_of(party, shown) AS owner,
  {CLOCK.replace("(ms)", "(o.occurred)")}
FROM states AS o LEFT JOIN (SELECT * FROM states WHERE state = 'resolved') AS r USING (violation_id)
LEFT JOIN posted AS p ON p.content = txt(o.value, '$.content_id')
LEFT JOIN account AS a ON txt(a.value, '$.account_id') = txt(o.value, '$.account_id')
WHERE o.state = 'opened'""",
    "begun": f"""
SELECT *, {CLOCK} FROM (SELECT checkout_id, ms, {_PLACE}, unnest(products) AS product
FROM (SELECT txt(value, '$.checkout_id') AS checkout_id, num(value, '$.occurred_at_ms') AS ms, {_fields("value")},
  from_json(value->'$.lines[*].product_id', '["VARCHAR"]') AS products FROM checkout_started))""",
    "ads_of_all": f"""
SELECT * EXCLUDE (ms), ms, {CLOCK}, (SELECT coalesce(txt(p.value, '$.price_tier'), CASE
    WHEN num(p.value, '$.price_minor') < 3000 THEN 'low' WHEN num(p.value, '$.price_minor') < 10000 THEN 'mid'
    ELSE 'high' END) FROM product AS p WHERE txt(p.value, '$.product_id') = of_ads.product) AS price_tier FROM (
  SELECT txt(value, '$.ad_account_id') AS ad_account, txt(value, '$.ad_id') AS ad,
    txt(value, '$.product_id') AS product, txt(value, '$.creator_id') AS creator,
    txt(value, '$.content_id') AS content, txt(value, '$.sub_campaign_id') AS sub_campaign,
    unnest(generate_series(start // 3600000 * 3600000, start + length - 1, 3600000)) AS clock_hour,
    greatest(clock_hour, start) AS ms,
    (least(clock_hour + 3600000, start + length) - greatest(clock_hour, start)) / length AS share,
    share * num(value, '$.spend_minor') AS spend, share * num(value, '$.gross_revenue_minor') AS revenue,
    share * num(value, '$.impressions') AS impressions, share * num(value, '$.clicks') AS clicks,
    share * num(value, '$.purchases') AS purchases, share * num(value, '$.new_customers') AS new_customers
  FROM (SELECT value, num(value, '$.bucket_start_ms') AS start,
    num(value, '$.bucket_seconds') * 1000 AS length FROM ad_metric)) AS of_ads""",
    "ads": """
SELECT * FROM ads_of_all WHERE ad_account = (SELECT txt(value, '$.primary_ad_account_id') FROM ad_account_selected)""",
    "ad_owner": "SELECT DISTINCT ad, ad_account FROM ads_of_all",
    "ad_refunds_of_all": "SELECT r.*, o.ad_account FROM refunds AS r JOIN ad_owner AS o USING (ad)",
    "ad_refunds": """
SELECT * FROM ad_refunds_of_all
WHERE ad_account = (SELECT txt(value, '$.primary_ad_account_id') FROM ad_account_selected)""",
    "levels": f"""
SELECT txt(value, '$.account_id') AS account, num(value, '$.occurred_at_ms') AS ms,
  num(value, '$.followers') AS followers, {CLOCK.replace("(ms)", "(num(value, '$.occurred_at_ms'))")} FROM follower""",
    "sources": """
SELECT topic, min(ms) AS ms FROM (
  SELECT CASE kind WHEN 'product_impression' THEN 'impressions' WHEN 'product_click' THEN 'clicks'
    WHEN 'product_page_view' THEN 'page_views' ELSE 'add_to_cart' END AS topic, ms FROM traffic
  UNION ALL SELECT 'orders', ms FROM lines UNION ALL SELECT 'orders', ms FROM refunds
  UNION ALL SELECT 'content', ms FROM contents UNION ALL SELECT 'engagement', ms FROM engagement
  UNION ALL SELECT 'violations', ms FROM accused UNION ALL SELECT 'checkouts', ms FROM begun
  UNION ALL SELECT 'ads', ms FROM ads_of_all
  UNION ALL SELECT replace(unnest(from_json(value->'$.topics', '["VARCHAR"]')), 'cm.', ''),
    num(value, '$.occurred_at_ms') FROM raw WHERE kind = 'heartbeat') GROUP BY topic""",
    **{
        f"days_of_{topic}": f"""
SELECT ms, {CLOCK} FROM (SELECT midnight_ms(d) AS ms FROM (SELECT unnest(generate_series(
  CAST(wall((SELECT ms FROM sources WHERE topic = '{topic}')) AS DATE),
  CAST(wall(getvariable('now')) AS DATE), INTERVAL 1 DAY)) AS d))"""
        for topic in ("orders", "impressions", "clicks", "content")
    },
}
"""Name -> SQL, in the order of making."""


def load(folder: Path, zone: str) -> duckdb.DuckDBPyConnection:
    """Return a database of a recording's tables, times in the zone of its shop."""
    base = duckdb.connect(":memory:", config={"threads": 1})
    base.execute(f"SET VARIABLE zone = '{zone}'")
    base.execute(MACROS)
    base.execute(
        "CREATE TABLE raw AS SELECT timestamp_ms AS received_ms, topic, value, txt(value, '$.event_type') AS kind "
        f"FROM read_json('{folder}/*.jsonl*', format = 'newline_delimited', "
        "columns = {topic: 'VARCHAR', timestamp_ms: 'BIGINT', value: 'JSON'})"
    )
    base.execute("SET VARIABLE now = (SELECT max(received_ms) FROM raw)")
    base.execute("SET VARIABLE today = (SELECT strftime(wall(getvariable('now')), '%Y-%m-%d'))")
    for name, sql in TABLES.items():
        base.execute(f"CREATE TABLE {name} AS {sql}")
    return base
