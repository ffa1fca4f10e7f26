/*
description = "Events of a small application"
time_column = "at"
unique = ["id"]
indexes = ["kind"]

[columns]
id = "bigint"
at = "timestamptz"
kind = "text"
amount = "numeric(12,2)"
*/
SELECT id, at, kind, amount FROM event WHERE at >= {from} AND at < {to}
