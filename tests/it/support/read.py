"""Reads landed days with engines that are not ours, and says what they see, as JSON.

    python read.py ROOT       the whole tree, by hive partitions
"""

import decimal
import json
import sys

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def plain(value):
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def by_pyarrow(root):
    tree = ds.dataset(f"{root}/orders", format="parquet", partitioning="hive")
    table = tree.to_table()
    total = lambda c: plain(pc.sum(table[c]).as_py())
    first = tree.to_table(filter=(ds.field("id") == 5) & (ds.field("tenant") == "acme")).to_pylist()[0]
    one = pq.ParquetFile(tree.files[0])
    return {
        "rows": table.num_rows,
        "types": {f.name: str(f.type) for f in table.schema},
        "sums": {c: total(c) for c in ["id", "small", "count", "weight", "price", "amount", "huge"]},
        "nulls": {c: table[c].null_count for c in table.column_names},
        "tenants": sorted({plain(v) for v in table["tenant"].to_pylist()}),
        "dates": sorted({plain(v) for v in table["date"].to_pylist()}),
        "row": {c: plain(v) for c, v in first.items()},
        "logical": {c.path: str(c.logical_type) for c in (one.schema.column(i) for i in range(len(one.schema)))},
        "footer": {k.decode(): v.decode() for k, v in one.metadata.metadata.items() if k.startswith(b"dayhaul.")},
        "created_by": one.metadata.created_by,
        "statistics": one.metadata.row_group(0).column(0).statistics.max,
        "version": one.metadata.format_version,
    }


def by_duckdb(root):
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    tree = f"read_parquet('{root}/orders/**/*.parquet', hive_partitioning = true)"
    described = db.execute(f"DESCRIBE SELECT * FROM {tree}").fetchall()
    numbers = ["id", "small", "count", "weight", "price", "amount", "huge"]
    sums = db.execute("SELECT " + ", ".join(f"sum({c})" for c in numbers) + f" FROM {tree}").fetchone()
    names = [d[0] for d in described]
    nulls = db.execute("SELECT " + ", ".join(f'count(*) - count("{c}")' for c in names) + f" FROM {tree}").fetchone()
    row = db.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {tree} WHERE id = 5 AND tenant = 'acme' ORDER BY date LIMIT 1").fetchone()
    ask = lambda sql: db.execute(sql).fetchall()
    return {
        "rows": ask(f"SELECT count(*) FROM {tree}")[0][0],
        "types": {d[0]: d[1] for d in described},
        "sums": dict(zip(numbers, map(plain, sums))),
        "nulls": dict(zip(names, nulls)),
        "tenants": [plain(v) for (v,) in ask(f"SELECT DISTINCT tenant FROM {tree} ORDER BY 1")],
        "dates": [plain(v) for (v,) in ask(f"SELECT DISTINCT date FROM {tree} ORDER BY 1")],
        "row": dict(zip(names, map(plain, row))),
        "of_one_day": ask(f"SELECT count(*) FROM {tree} WHERE tenant = 'acme' AND date = DATE '2024-02-29'")[0][0],
        "between": ask(f"SELECT count(*) FROM {tree} WHERE logged_time < TIMESTAMPTZ '2024-02-29 00:01:00+00'")[0][0],
    }


print(json.dumps({"pyarrow": by_pyarrow(sys.argv[1]), "duckdb": by_duckdb(sys.argv[1])}))
