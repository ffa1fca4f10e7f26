/*
description = "Flights by scheduled departure, with airline, destination airport and plane"
time_column = "time_hour"
unique = ["year", "month", "day", "origin", "carrier", "flight"]
indexes = ["time_hour", "carrier", "dest"]
range_query = "SELECT min(time_hour), max(time_hour) FROM flights"

[columns]
time_hour = "timestamptz"
year = "integer"
month = "integer"
day = "integer"
hour = "integer"
minute = "integer"
origin = "text"
dest = "text"
destination = "text"
carrier = "text"
airline = "text"
flight = "integer"
tailnum = "text"
manufacturer = "text"
model = "text"
seats = "integer"
plane_year = "integer"
sched_dep_time = "integer"
dep_time = "integer"
dep_delay = "integer"
sched_arr_time = "integer"
arr_time = "integer"
arr_delay = "integer"
air_time = "integer"
distance = "integer"
*/
SELECT f.time_hour,
       -- The date of departure in New York, not the UTC day.
       f.year,
       f.month,
       f.day,
       f.hour,
       f.minute,
       f.origin,
       f.dest,
       airport.name AS destination,
       f.carrier,
       airline.name AS airline,
       f.flight,
       f.tailnum,
       plane.manufacturer,
       plane.model,
       plane.seats,
       plane.year AS plane_year,
       f.sched_dep_time,
       f.dep_time,
       f.dep_delay,
       f.sched_arr_time,
       f.arr_time,
       f.arr_delay,
       f.air_time,
       f.distance
FROM flights AS f
LEFT JOIN airlines AS airline ON airline.carrier = f.carrier
LEFT JOIN airports AS airport ON airport.faa = f.dest
LEFT JOIN planes AS plane ON plane.tailnum = f.tailnum
WHERE f.time_hour >= {from} AND f.time_hour < {to}
