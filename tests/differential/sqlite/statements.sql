-- literals and arithmetic
SELECT 1
SELECT 1 AS one, 'x' AS text, NULL AS nothing, true AS yes
SELECT 2147483648, 9223372036854775807, 9223372036854775808, 1.5, 1e3, -5, - 5
SELECT 1 + 1, 1 - 2, 3 * 4, 7 / 2, -7 / 2, 7 % 3, -7 % 3
SELECT 2147483647 + 1
SELECT 9223372036854775807 + 1
SELECT 1 / 0
SELECT 1.0 / 0
SELECT 1.0::float8 / 0
SELECT 1::int2 + 1::int2, 1::int2 + 1::int4, 1::int4 + 1::int8, 1::int2 * 1::int8
SELECT 32767::int2 + 1::int2
SELECT 1.5 + 1, 1.5 - 0.25, 1.5 * 1.25, 10.0 / 3, 1 / 3.0, 2.0 / 3.0
SELECT 1.10 + 2.200, 5 % 3.2, -5.5 % 2
SELECT 100.0 / 7, 1234567890.123456789 / 3, 0.0001 / 3, 1e20::numeric / 7
SELECT 1.5::float8 + 1, 0.1::float8 + 0.2::float8, 1e300::float8 * 10
SELECT 1e308::float8 * 10
SELECT 0.1::float4, 0.1::float8, 1e20::float8, 1e15::float8, 1e14::float8, 123456.789::float4, 1e-5::float8, 0.0001::float8
SELECT 'infinity'::float8, '-infinity'::float8, '-0'::float8
SELECT 7 & 3, 7 | 8, 5 # 3, ~5, 1 << 4, 256 >> 2
SELECT abs(-5), abs(-5.5), sign(-3.2), @ -5
SELECT round(2.5), round(-2.5), round(2.567, 2), round(1234.5, -2), trunc(2.567, 1), ceil(2.1), floor(-2.1), round(2.5::float8), round(3.5::float8)
SELECT mod(10, 3), div(10.5, 3), gcd(12, 18), lcm(4, 6), factorial(5)
SELECT sqrt(2::float8), cbrt(27::float8), exp(1::float8), ln(10::float8), log(100::float8), pi(), power(2::float8, 10::float8), sin(1::float8)
SELECT sqrt(-1::float8)
SELECT ln(0::float8)
SELECT scale(1.230), min_scale(1.230), trim_scale(1.230)
SELECT 'abc' + 1
SELECT '5' + 1, 1 + '5'
SELECT 1 + true
SELECT '1' + '2'
-- comparisons and logic
SELECT 1 = 1, 1 <> 2, 1 < 2, 2 <= 2, 3 > 2, 3 >= 4, 1 != 1
SELECT 1 = 1.0, 1.0 = 1.00, 1.5 > 1, 1::float8 = 1
SELECT 'a' = 'a', 'a' < 'b', 'B' < 'a', 'a' || 'b', 'a' || 1, 1 || 'a', 'a' || NULL
SELECT true AND false, true OR NULL, NOT true, NULL AND false, NULL OR false
SELECT 1 IS NULL, NULL IS NULL, 1 IS NOT NULL, true IS TRUE, NULL::bool IS UNKNOWN, false IS NOT TRUE
SELECT 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, 1 IS DISTINCT FROM 1
SELECT 5 BETWEEN 1 AND 10, 5 NOT BETWEEN 1 AND 10, 5 BETWEEN SYMMETRIC 10 AND 1
SELECT 1 IN (1, 2, 3), 4 IN (1, 2, 3), NULL IN (1, 2), 1 NOT IN (2, NULL), 'a' IN ('a', 'b'), 1.0 IN (1, 2)
SELECT CASE WHEN true THEN 1 ELSE 2 END, CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END, CASE WHEN false THEN 1 END
SELECT CASE WHEN true THEN 1 ELSE 2.5 END
SELECT CASE WHEN true THEN 1 ELSE 'x' END
SELECT coalesce(NULL, 1), coalesce(NULL, NULL), coalesce(1, 2.5), nullif(1, 1), nullif(1, 2), nullif('a', 'b')
SELECT greatest(1, 2, 3), least(1, NULL, 3), greatest(1.5, 2), greatest('a', 'b'), least(NULL, NULL)
SELECT (1, 2) = (1, 2), (1, 2) < (1, 3), ROW(1, 'a') = ROW(1, 'a')
SELECT 1 = 'x'
SELECT 1 = true
SELECT NOT 1
SELECT 1 WHERE 1
SELECT 1 AND true
-- casts
SELECT 1::text, 'x'::text, '1'::int, 1.5::int, 2.5::int, -2.5::int, '1.5'::numeric, 1::bool, true::int, 'yes'::bool, 'off'::bool
SELECT '12abc'::int
SELECT ''::int
SELECT '99999999999'::int
SELECT 40000::int2
SELECT 'maybe'::bool
SELECT '1.5'::int
SELECT 1.5::float8::int, 2.5::float8::int, 0.5::float8::int, 1e10::float8::int8
SELECT 1e10::float8::int4
SELECT 123.456::numeric(5,2), 123.456::numeric(5,1), 1234.5::numeric(6,2)
SELECT 12345.6::numeric(5,2)
SELECT 'abc'::varchar(2), 'abc'::char(5), 'abc'::char(5) || 'x', 'ab '::char(5) = 'ab', length('ab '::char(5))
SELECT true::text, 't'::text::bool, 1::int8::text, 1.50::text, '2020-01-01'::date::text
SELECT cast('5' AS integer), int '5', float8 '1.5', text 'x', numeric '1.50'
SELECT 'x'::nosuch
SELECT '{1,2,3}'::int[], '{a,"b c",NULL}'::text[], ARRAY[1,2,3], ARRAY['a','b']
SELECT 1::date
SELECT '\x616263'::bytea, 'abc'::bytea, '\x00ff'::bytea
SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'A0EEBC999C0B4EF8BB6D6BB9BD380A11'::uuid
SELECT 'nope'::uuid
SELECT 'hello'::name, 'a'::"char", 5::oid, '5'::oid
SELECT pg_typeof(1), pg_typeof('x'), pg_typeof(1.5), pg_typeof(now()), pg_typeof(NULL)
-- strings
SELECT lower('ABC'), upper('abc'), initcap('hello wORLD'), length('héllo'), char_length('abc'), octet_length('héllo'), bit_length('abc')
SELECT upper('é'), lower('É')
SELECT substring('hello' from 2 for 3), substring('hello' from 2), substr('hello', 2, 3), substring('hello', 0, 3), substr('hello', -1)
SELECT substring('hello' from 2 for -1)
SELECT position('l' in 'hello'), strpos('hello', 'z'), replace('hello', 'l', 'L'), left('hello', 2), left('hello', -2), right('hello', 2), right('hello', -2)
SELECT trim('  x  '), ltrim('  x'), rtrim('x  '), btrim('xxaxx', 'x'), trim(both 'x' from 'xxaxx'), trim(leading 'x' from 'xxaxx'), trim(trailing from 'a  ')
SELECT lpad('x', 5), lpad('x', 5, 'ab'), rpad('x', 5, 'ab'), lpad('hello', 2), repeat('ab', 3), reverse('abc'), split_part('a,b,c', ',', 2), split_part('a,b,c', ',', -1), split_part('a,b,c', ',', 9)
SELECT concat('a', 1, NULL, true), concat_ws(',', 'a', NULL, 'b'), format('%s is %s', 'x', 1), format('%I %L', 'Foo', 'it''s'), format('%5s|%-5s|', 'a', 'b'), format('%2$s %1$s', 'a', 'b')
SELECT ascii('A'), chr(65), chr(233), translate('12345', '143', 'ax'), md5('abc'), to_hex(255), to_hex(-1), encode('abc'::bytea, 'hex'), encode('abc'::bytea, 'base64'), decode('YWJj', 'base64')
SELECT quote_ident('foo'), quote_ident('Foo'), quote_ident('select'), quote_literal('it''s'), quote_nullable(NULL), quote_literal(5)
SELECT 'abc' LIKE 'a%', 'ABC' LIKE 'a%', 'ABC' ILIKE 'a%', 'abc' NOT LIKE '_b_', 'a%c' LIKE 'a\%c', 'a_c' LIKE 'a!_c' ESCAPE '!', 'abc' ~~ 'abc'
SELECT 'abc' LIKE 'abc\'
SELECT 'abc' ~ 'b', 'abc' ~ '^b', 'ABC' ~* 'b', 'abc' !~ 'x', 'abc123' ~ '^[a-z]+\d+$', 'foo bar' ~ '\mbar\M', 'abc' SIMILAR TO 'a%', 'abc' SIMILAR TO '(a|b)_c'
SELECT regexp_replace('hello world', 'o', '0'), regexp_replace('hello world', 'o', '0', 'g'), regexp_replace('abc', '(b)', '[\1]'), regexp_replace('ABC', 'b', 'x', 'i')
SELECT regexp_match('foobarbequebaz', '(bar)(beque)'), regexp_match('abc', 'x'), regexp_split_to_array('a1b2c', '\d'), substring('foobar' from 'o(.)b'), substring('foobar' from 'o.b')
SELECT 'abc' ~ '('
SELECT starts_with('alphabet', 'alph'), overlay('Txxxxas' placing 'hom' from 2 for 4), 'x' || 'y' || 'z'
SELECT string_to_array('a,b,c', ','), string_to_array('a,b,', ','), array_to_string(ARRAY[1,2,3], ','), array_to_string(ARRAY['a',NULL,'c'], ',', '*'), array_length(ARRAY[1,2,3], 1), cardinality(ARRAY[1,2])
SELECT 'b' = ANY(ARRAY['a','b']), 5 = ANY('{1,2,3}'), 1 = ANY(ARRAY[1,NULL]), 2 = ANY(ARRAY[1,NULL]), 2 > ALL(ARRAY[1,0]), 1 <> ALL(ARRAY[1,2]), (ARRAY[10,20,30])[2], (ARRAY[1])[5]
SELECT nosuch('x')
SELECT lower(5)
SELECT length()
SELECT substr('a')
SELECT convert_from('\x616263'::bytea, 'UTF8'), convert_to('abc', 'UTF8'), sha256('abc'::bytea)
-- dates and times
SELECT '2020-02-29'::date, '2020-02-29'::date + 1, '2020-03-01'::date - '2020-02-01'::date, '2020-01-31'::date + interval '1 month', '2020-01-31'::date - 31
SELECT '2019-02-29'::date
SELECT 'garbage'::date
SELECT '2020-13-01'::date
SELECT 'Jan 5, 2020'::date, '5 January 2020'::date, '1/2/2020'::date, '20200105'::date, '2020-01-05 BC'::date, 'infinity'::date, 'epoch'::date
SELECT '2020-01-01 12:34:56.789'::timestamp, '2020-01-01T12:34:56'::timestamp, '2020-01-01'::timestamp, '2020-01-01 24:00:00'::timestamp, '2020-01-01 1:02 PM'::timestamp
SELECT '2020-01-01 12:00:00+02'::timestamptz, '2020-01-01 12:00:00'::timestamptz, '2020-07-01 12:00 Europe/Berlin'::timestamptz, '2020-01-01 12:00 EST'::timestamptz
SELECT '12:34:56'::time, '12:34'::time, '23:59:59.999999'::time, '12:00+02'::timetz, '04:05 PM'::time
SELECT interval '1 day', interval '1 year 2 months 3 days 04:05:06.5', interval '-1 day', interval '90 minutes', interval '1.5 days', interval '1 week', interval 'P1Y2M3DT4H5M6S', interval '1-2', interval '3 days ago', interval '1' year, interval '5' minute, interval '2:30' hour to minute
SELECT interval '1 day' + interval '2 hours', interval '1 day' * 2, interval '1 day' / 2, interval '1 month' * 1.5, -interval '1 day', interval '1 day' = interval '24 hours', interval '1 mon' > interval '29 days'
SELECT timestamp '2020-01-31' + interval '1 month', timestamp '2020-03-31 10:00' - interval '1 month', timestamp '2020-01-02' - timestamp '2020-01-01 12:00', timestamptz '2020-01-01 00:00+00' + interval '1 day 2 hours'
SELECT date '2020-01-01' + time '10:00', time '10:00' + interval '3 hours', time '10:00' - time '08:30', time '23:00' + interval '2 hours'
SELECT extract(year from date '2020-03-04'), extract(month from timestamp '2020-03-04 05:06:07.89'), extract(second from timestamp '2020-03-04 05:06:07.89'), extract(epoch from timestamptz '2020-01-01 00:00+00'), extract(dow from date '2020-03-01'), extract(isodow from date '2020-03-01'), extract(doy from date '2020-03-01'), extract(week from date '2020-01-01'), extract(quarter from date '2020-05-05'), extract(epoch from interval '1 day 1 second'), extract(hour from time '05:06'), extract(century from date '2001-01-01'), extract(isoyear from date '2021-01-01')
SELECT date_part('year', date '2020-03-04'), date_part('epoch', interval '1 hour'), date_part('second', time '01:02:03.5')
SELECT extract(nosuch from date '2020-01-01')
SELECT date_trunc('month', timestamp '2020-03-04 05:06:07'), date_trunc('hour', timestamptz '2020-03-04 05:06:07+00'), date_trunc('week', timestamp '2020-03-04'), date_trunc('quarter', timestamp '2020-05-04'), date_trunc('year', date '2020-05-04'), date_trunc('day', interval '3 days 04:05'), date_trunc('decade', timestamp '2025-01-01'), date_trunc('century', timestamp '2025-01-01')
SELECT date_trunc('nope', timestamp '2020-01-01')
SELECT age(timestamp '2020-03-01', timestamp '2019-01-15'), age(timestamp '2019-01-15', timestamp '2020-03-01'), age(timestamp '2020-02-29', timestamp '2019-02-28')
SELECT timestamp '2020-01-01 12:00' AT TIME ZONE 'Europe/Berlin', timestamptz '2020-07-01 12:00+00' AT TIME ZONE 'America/New_York', timestamptz '2020-01-01 12:00+00' AT TIME ZONE 'UTC'
SELECT timestamp '2020-01-01' AT TIME ZONE 'Nowhere/Land'
SELECT make_date(2020, 2, 29), make_time(10, 20, 30.5), make_timestamp(2020, 1, 2, 3, 4, 5.5), make_interval(days => 10), make_interval(1, 2, 0, 3), to_timestamp(1577836800), isfinite(date '2020-01-01'), justify_hours(interval '27 hours'), justify_days(interval '35 days'), justify_interval(interval '1 mon -1 hour')
SELECT make_date(2020, 2, 30)
SELECT date '2020-01-01' < timestamp '2020-01-01 00:00:01', date '2020-01-01' = timestamptz '2020-01-01 00:00+00', timestamp '2020-01-01' = timestamptz '2020-01-01 00:00+00'
SELECT timestamp '2020-01-01 12:34:56.789'::timestamp(0), timestamp '2020-01-01 12:34:56.789'::date, timestamp '2020-01-01 12:34:56.789'::time, timestamptz '2020-01-01 12:34:56+00'::date, date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01')
SELECT (date '2020-01-01', date '2020-06-01') OVERLAPS (date '2020-03-01', date '2020-09-01')
SELECT now() = current_timestamp, now()::date = current_date, localtimestamp = now()::timestamp, statement_timestamp() >= now()
SET timezone = 'Europe/Berlin'
SELECT timestamptz '2020-01-01 00:00+00', timestamptz '2020-07-01 00:00+00', '2020-07-01 12:00'::timestamptz, timestamp '2020-01-01'::timestamptz, timestamptz '2020-03-28 12:00+01' + interval '1 day', timestamptz '2020-03-28 12:00+01' + interval '24 hours', '2020-03-29 02:30'::timestamptz, '2020-10-25 02:30'::timestamptz, date_trunc('day', timestamptz '2020-07-01 12:00+00'), extract(timezone from timestamptz '2020-07-01 00:00+00')
SELECT timestamptz '1900-01-01 00:00+00', timestamptz '2050-07-01 00:00+00', timestamptz '1945-06-01 00:00+00'
SET timezone = 'UTC'
-- json
SELECT '{"a":1,"b":[1,2,{"c":3}]}'::json -> 'a', '{"a":1,"b":[1,2]}'::json ->> 'b', '{"a":{"b":"x"}}'::jsonb #> '{a,b}', '{"a":{"b":"x"}}'::jsonb #>> '{a,b}', '[1,2,3]'::json -> 1, '[1,2,3]'::jsonb -> -1, '{"a":null}'::jsonb ->> 'a', '{"a":1}'::jsonb -> 'z'
SELECT '{"b":1,"a":2,"b":3, "long":1.500}'::jsonb, '[1, "x", null, true]'::jsonb, '"str"'::jsonb, '{"a" :  1}'::json, '{}'::jsonb, '[]'::jsonb, '1.0e2'::jsonb, '"\u00e9\n"'::jsonb
SELECT '{bad'::json
SELECT '{"a":1,}'::jsonb
SELECT '{"a":1,"b":2}'::jsonb @> '{"a":1}', '[1,2,3]'::jsonb @> '[3,1]', '{"a":1}'::jsonb <@ '{"a":1,"b":2}', '{"a":1}'::jsonb ? 'a', '{"a":1}'::jsonb ?| ARRAY['x','a'], '{"a":1}'::jsonb ?& ARRAY['x','a'], '["a"]'::jsonb ? 'a'
SELECT '{"a":1}'::jsonb || '{"b":2}', '[1]'::jsonb || '[2]', '{"a":1,"b":2}'::jsonb - 'a', '[1,2,3]'::jsonb - 0, '{"a":{"b":1}}'::jsonb #- '{a,b}', '{"a":1}'::jsonb = '{"a":1.0}'
SELECT jsonb_set('{"a":{"b":1}}', '{a,b}', '2'), jsonb_set('{"a":1}', '{c}', '3'), jsonb_set('{"a":1}', '{c}', '3', false), jsonb_pretty('{"a":[1,2]}'), jsonb_typeof('[1]'), json_typeof('1'), jsonb_array_length('[1,2]'), jsonb_strip_nulls('{"a":null,"b":1}')
SELECT json_build_object('a', 1, 'b', 'x', 'c', NULL, 'd', true, 'e', 1.50), jsonb_build_object('z', 1, 'a', ARRAY[1,2]), json_build_array(1, 'a', NULL, 2.5), jsonb_build_array(), to_json('x'::text), to_jsonb(1.5), to_json(true), to_jsonb(timestamp '2020-01-01 10:00'), to_json(date '2020-01-01')
SELECT ('{"a":5}'::jsonb -> 'a')::int, ('{"a":"5"}'::jsonb ->> 'a')::int, ('true'::jsonb)::bool, ('1.5'::jsonb)::numeric
SELECT json_extract_path_text('{"a":{"b":"c"}}', 'a', 'b'), jsonb_extract_path('{"a":[1,2]}', 'a', '1')
SELECT * FROM json_array_elements('[1,"a",null]')
SELECT * FROM jsonb_array_elements_text('[1,"a",null]')
SELECT * FROM jsonb_each('{"b":1,"a":"x"}')
SELECT key, value FROM json_each_text('{"b":1,"a":null}') ORDER BY key
SELECT json_object_keys('{"b":1,"a":2}')
SELECT '{"a":1}'::json = '{"a":1}'::json
-- FROM functions
SELECT * FROM generate_series(1, 5)
SELECT * FROM generate_series(10, 1, -3) AS n
SELECT g, g * 2 AS d FROM generate_series(1, 3) AS g
SELECT * FROM generate_series(1.0, 2.0, 0.5) x
SELECT generate_series(1, 3)
SELECT generate_series(timestamp '2020-01-01', timestamp '2020-01-03', interval '1 day')
SELECT d::date FROM generate_series('2020-01-30'::date, '2020-02-02'::date, '1 day') d
SELECT * FROM generate_series(1, 3, 0)
SELECT unnest(ARRAY[1,2,3]), 'x'
SELECT * FROM unnest(ARRAY['a','b']) WITH ORDINALITY AS t(v, i)
SELECT * FROM unnest('{3,1,2}'::int[]) u ORDER BY u DESC
SELECT * FROM regexp_split_to_table('a b c', ' ') w
SELECT * FROM string_to_table('a,b', ',')
-- tables
CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email varchar(50) UNIQUE, age int CHECK (age >= 0), active boolean DEFAULT true, created timestamp DEFAULT '2020-01-01 00:00:00', balance numeric(10,2) DEFAULT 0)
CREATE TABLE users (id int)
CREATE TABLE IF NOT EXISTS users (id int)
INSERT INTO users (name, email, age) VALUES ('alice', 'alice@example.com', 30)
INSERT INTO users (name, email, age, balance) VALUES ('bob', 'bob@example.com', 25, 10.5), ('carol', NULL, NULL, 99.999)
INSERT INTO users (name, age) VALUES ('dave', -1)
INSERT INTO users (email) VALUES ('x@example.com')
INSERT INTO users (name, email) VALUES ('alice2', 'alice@example.com')
INSERT INTO users (name, email) VALUES ('long', repeat('x', 60))
INSERT INTO users (nope) VALUES (1)
INSERT INTO users (name, name) VALUES ('a', 'b')
INSERT INTO users (name) VALUES ('a', 'b')
INSERT INTO users (name, age) VALUES ('a')
INSERT INTO users (name, age) VALUES ('a', 'x')
INSERT INTO users (name, age) VALUES ('a', true)
INSERT INTO nosuch VALUES (1)
SELECT * FROM users ORDER BY id
SELECT name, balance + 1 AS more FROM users WHERE balance > 5 ORDER BY balance DESC
SELECT u.name FROM users u WHERE u.age IS NULL OR u.age > 26 ORDER BY 1
SELECT users.* FROM users WHERE id = 1
SELECT nope FROM users
SELECT users.nope FROM users
SELECT x.name FROM users u
SELECT name FROM users u WHERE users.id = 1
SELECT * FROM nosuch
SELECT * FROM public.users WHERE id = 2
SELECT * FROM nosuch.users
SELECT "name" FROM "users" WHERE "id" = 1
SELECT "nope" FROM users
INSERT INTO users (name) VALUES ('erin') RETURNING id, name, active
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT (email) DO NOTHING
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT (email) DO UPDATE SET name = excluded.name, age = users.age + 1 RETURNING id, name, age
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT ON CONSTRAINT users_email_key DO UPDATE SET name = 'franky' WHERE users.id > 100
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT DO NOTHING
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT (name) DO NOTHING
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT (nope) DO NOTHING
INSERT INTO users (name, email) VALUES ('frank', 'bob@example.com') ON CONFLICT ON CONSTRAINT nope DO NOTHING
INSERT INTO users DEFAULT VALUES
INSERT INTO users (id, name) VALUES (DEFAULT, 'gina') RETURNING id
INSERT INTO users (name) SELECT 'copy of ' || name FROM users WHERE id = 1 RETURNING id, name
UPDATE users SET age = age + 1 WHERE id = 1
UPDATE users SET age = 41, active = false WHERE name = 'carol' RETURNING id, age, active
UPDATE users SET balance = balance * 1.1
UPDATE users SET nope = 1
UPDATE users SET age = 1, age = 2
UPDATE users SET age = DEFAULT WHERE id = 3 RETURNING age
UPDATE users SET (name, age) = ('dora', 50) WHERE id = 3 RETURNING name, age
UPDATE users SET (name, age) = (SELECT 'doro', 51) WHERE id = 3 RETURNING name, age
UPDATE users AS u SET age = u.age + 1 WHERE u.id = 3 RETURNING u.age, u.*
UPDATE users SET age = 'abc'
UPDATE users SET age = 1.6 WHERE id = 3 RETURNING age
UPDATE users SET age = now()
DELETE FROM users WHERE id = 999
DELETE FROM users WHERE name LIKE 'copy%' RETURNING name
SELECT count(*), count(age), sum(age), avg(age), min(age), max(name), sum(balance), avg(balance) FROM users
SELECT active, count(*) FROM users GROUP BY active ORDER BY active
SELECT active, name FROM users GROUP BY active
SELECT id, name FROM users GROUP BY id ORDER BY id
SELECT name FROM users WHERE count(*) > 1
SELECT active, count(*) AS n FROM users GROUP BY 1 HAVING count(*) > 1 ORDER BY n DESC
SELECT upper(name) AS u, count(*) FROM users GROUP BY u ORDER BY u
SELECT lower(name), age FROM users GROUP BY lower(name)
SELECT count(DISTINCT active), count(*) FILTER (WHERE age > 30), string_agg(name, ',' ORDER BY name DESC), array_agg(id ORDER BY id), bool_and(active), bool_or(active) FROM users
SELECT max(count(*)) FROM users
SELECT sum(name) FROM users
SELECT json_agg(name ORDER BY id), json_object_agg(name, age ORDER BY id) FROM users WHERE id < 3
SELECT row_to_json(u) FROM (SELECT id, name FROM users ORDER BY id) u
SELECT json_agg(u) FROM (SELECT id, name FROM users ORDER BY id LIMIT 2) u
SELECT u FROM (SELECT 1 AS a, 'x y' AS b) u
SELECT to_json(u.*) FROM (SELECT 1 AS a, NULL AS b) u
-- joins
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users(id) ON DELETE CASCADE, title text, tags jsonb, score float8, published date)
INSERT INTO posts VALUES (1, 1, 'first', '["a","b"]', 1.5, '2020-01-01'), (2, 1, 'second', '{"x":1}', 2.5, '2020-02-01'), (3, 2, 'third', NULL, NULL, NULL)
INSERT INTO posts VALUES (4, 999, 'bad')
SELECT u.name, p.title FROM users u JOIN posts p ON p.user_id = u.id ORDER BY p.id
SELECT u.name, count(p.id) FROM users u LEFT JOIN posts p ON p.user_id = u.id GROUP BY u.id ORDER BY u.id
SELECT u.id, p.id FROM users u RIGHT JOIN posts p ON u.id = p.user_id AND p.id > 1 ORDER BY p.id
SELECT a.x, b.x FROM (VALUES (1),(2)) a(x) FULL JOIN (VALUES (2),(3)) b(x) ON a.x = b.x ORDER BY a.x, b.x
SELECT * FROM (VALUES (1,'a'),(2,'b')) a(id, v) JOIN (VALUES (1,'c'),(3,'d')) b(id, w) USING (id)
SELECT * FROM (VALUES (1,'a'),(2,'b')) a(id, v) FULL JOIN (VALUES (1,'c'),(3,'d')) b(id, w) USING (id) ORDER BY id
SELECT * FROM (VALUES (1,'a')) a(id, v) NATURAL JOIN (VALUES (1,'c')) b(id, w)
SELECT id FROM users u JOIN posts p ON p.user_id = u.id
SELECT 1 FROM users, users
SELECT count(*) FROM users, posts WHERE users.id = posts.user_id
SELECT u.name FROM users u WHERE EXISTS (SELECT 1 FROM posts p WHERE p.user_id = u.id) ORDER BY u.name
SELECT name, (SELECT max(title) FROM posts p WHERE p.user_id = u.id) AS last FROM users u ORDER BY id
SELECT (SELECT id FROM users)
SELECT (SELECT id FROM users WHERE id = 1), (SELECT id FROM users WHERE false)
SELECT name FROM users WHERE id IN (SELECT user_id FROM posts) ORDER BY 1
SELECT name FROM users WHERE id NOT IN (SELECT user_id FROM posts) ORDER BY 1
SELECT name FROM users WHERE (id, name) IN (SELECT user_id, 'alice' FROM posts)
SELECT 5 > ANY (SELECT id FROM posts), 5 > ALL (SELECT id FROM posts), 2 = ALL (SELECT 2), 1 < ALL (SELECT id FROM posts WHERE false)
SELECT (SELECT 1, 2)
SELECT 1 IN (SELECT 1, 2)
UPDATE posts SET title = u.name || ': ' || posts.title FROM users u WHERE u.id = posts.user_id AND posts.id = 1 RETURNING posts.title
DELETE FROM posts USING users u WHERE u.id = posts.user_id AND u.name = 'nobody'
SELECT title FROM posts ORDER BY score DESC NULLS LAST, id
SELECT title FROM posts ORDER BY score
SELECT title FROM posts ORDER BY score DESC
SELECT id FROM posts ORDER BY published NULLS FIRST, id DESC
SELECT DISTINCT user_id FROM posts ORDER BY user_id
SELECT DISTINCT ON (user_id) user_id, title FROM posts ORDER BY user_id, id DESC
SELECT DISTINCT ON (user_id) user_id, title FROM posts ORDER BY id
SELECT DISTINCT title FROM posts ORDER BY id
SELECT id FROM posts ORDER BY id LIMIT 1 OFFSET 1
SELECT id FROM posts ORDER BY id LIMIT ALL
SELECT id FROM posts ORDER BY id OFFSET 2
SELECT id FROM posts ORDER BY id FETCH FIRST 2 ROWS ONLY
SELECT id FROM posts LIMIT -1
SELECT id FROM posts ORDER BY 5
SELECT id FROM posts ORDER BY nope
SELECT id FROM posts ORDER BY id FOR UPDATE
SELECT tags -> 0, tags ->> 'x' FROM posts ORDER BY id
SELECT sum(score), avg(score), stddev(score), variance(score) FROM posts
-- set operations
SELECT 1 UNION SELECT 2 UNION SELECT 1 ORDER BY 1
SELECT 1 UNION ALL SELECT 1
SELECT 1 UNION SELECT 2.5 ORDER BY 1
SELECT 'a' UNION SELECT NULL ORDER BY 1
SELECT 1 UNION SELECT 'x'
SELECT 1, 2 UNION SELECT 1
SELECT count(*) FROM (SELECT 1.0 UNION SELECT 1.00) x
SELECT x FROM (VALUES (1),(2),(2),(3)) v(x) INTERSECT SELECT 2
SELECT x FROM (VALUES (1),(2),(2),(3)) v(x) EXCEPT SELECT 2 ORDER BY x
SELECT x FROM (VALUES (1),(2),(2),(3)) v(x) EXCEPT ALL SELECT 2 ORDER BY x
SELECT x FROM (VALUES (2),(2),(3)) v(x) INTERSECT ALL SELECT x FROM (VALUES (2),(2),(2)) w(x)
SELECT 1 UNION SELECT 2 INTERSECT SELECT 3
(SELECT id FROM posts ORDER BY id LIMIT 1) UNION ALL (SELECT id FROM posts ORDER BY id DESC LIMIT 1)
SELECT id AS a FROM posts UNION SELECT 10 ORDER BY a DESC
SELECT id AS a FROM posts UNION SELECT 10 ORDER BY a + 1
VALUES (1, 'a'), (2, 'b')
VALUES (1), (2.5)
VALUES (1), ('x')
SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS t (num, letter) WHERE num > 1
-- CTEs and windows
WITH t AS (SELECT 1 AS a, 'x' AS b) SELECT * FROM t
WITH t(a) AS (SELECT 1), u AS (SELECT a + 1 AS b FROM t) SELECT * FROM t, u
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n % 3 + 1 FROM t) SELECT * FROM t ORDER BY n
WITH RECURSIVE tree(id, path) AS (SELECT 1, 'root'::text UNION ALL SELECT id + 1, path || '/' || id FROM tree WHERE id < 3) SELECT * FROM tree ORDER BY id
WITH t AS (SELECT 1) INSERT INTO posts (id, title) SELECT 50, 'cte' FROM t RETURNING id
WITH t AS MATERIALIZED (SELECT id FROM posts) DELETE FROM posts WHERE id IN (SELECT id FROM t WHERE id = 50)
SELECT id, row_number() OVER (ORDER BY id DESC), rank() OVER (ORDER BY user_id), sum(id) OVER (PARTITION BY user_id), lag(id) OVER (ORDER BY id), lead(id, 1, 0) OVER (ORDER BY id) FROM posts ORDER BY id
SELECT id, first_value(title) OVER w, count(*) OVER w FROM posts WINDOW w AS (PARTITION BY user_id ORDER BY id) ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), avg(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM posts ORDER BY id
SELECT user_id, sum(count(*)) OVER (ORDER BY user_id) FROM posts GROUP BY user_id ORDER BY user_id
SELECT id FROM posts WHERE row_number() OVER () = 1
SELECT row_number() FROM posts
SELECT ntile(2) OVER (ORDER BY id), dense_rank() OVER (ORDER BY user_id), percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id) FROM posts ORDER BY id
-- numerics in tables
CREATE TABLE money_t (id int PRIMARY KEY, amount numeric(12,4), plain numeric, f4 float4, i8 bigint, s smallint)
INSERT INTO money_t VALUES (1, 10.5, 1.50, 1.1, 9007199254740993, 7), (2, -3.25, 1.5, 2.2, -1, -7), (3, 100000.00005, 2, NULL, NULL, NULL)
SELECT * FROM money_t ORDER BY amount
SELECT plain, count(*) FROM money_t GROUP BY plain ORDER BY plain
SELECT DISTINCT plain FROM money_t ORDER BY plain DESC
SELECT sum(amount), avg(amount), min(amount), max(amount), sum(i8), avg(i8), sum(s), avg(s), sum(f4), avg(f4) FROM money_t
SELECT id FROM money_t WHERE plain = 1.500 ORDER BY id
SELECT id FROM money_t WHERE amount BETWEEN -5 AND 11 ORDER BY id
SELECT id, amount * 2, amount / 3, amount::int, -amount, abs(amount), round(amount), amount > plain FROM money_t ORDER BY id
SELECT a.id, b.id FROM money_t a JOIN money_t b ON a.plain = b.plain AND a.id < b.id
SELECT amount FROM money_t WHERE amount IN (10.5, 3) OR amount = '-3.25' ORDER BY amount DESC
INSERT INTO money_t (id, amount) VALUES (4, 1234567890.5)
INSERT INTO money_t (id, s) VALUES (4, 40000)
INSERT INTO money_t (id, i8) VALUES (4, 1.5) RETURNING i8
SELECT i8 + 1 FROM money_t WHERE i8 > 9007199254740992
SELECT s * 30000::smallint FROM money_t WHERE id = 1
-- dates in tables
CREATE TABLE events (id uuid PRIMARY KEY DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', at timestamptz NOT NULL, d date, t time, span interval, data bytea, c char(3), j json)
INSERT INTO events VALUES (DEFAULT, '2020-01-01 10:00+00', '2020-01-01', '10:00', '1 day 02:03:04', '\xdeadbeef', 'ab', '{"k": [1, 2]}')
INSERT INTO events (id, at, span) VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2020-06-01 10:00+02', '24 hours')
SELECT * FROM events ORDER BY at
SELECT date_trunc('month', at) AS m, count(*) FROM events GROUP BY 1 ORDER BY 1
SELECT at + span, at::date - d, span * 2, c || '|', length(c), j -> 'k' -> 1, data || '\x01' FROM events ORDER BY at
SELECT id FROM events WHERE at >= '2020-02-01' AND at < '2020-12-31'
SELECT id FROM events WHERE span = '1 day'
SELECT max(at), min(d), sum(span), max(span) FROM events
SELECT at FROM events WHERE at > now() - interval '100 years' ORDER BY at DESC LIMIT 1
SELECT extract(hour from at), to_json(at) FROM events ORDER BY at
INSERT INTO events (id, at, c) VALUES ('c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'now', 'abcd')
INSERT INTO events (id, at) VALUES ('xyz', 'now')
INSERT INTO events (id, at) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2020-01-01')
SELECT c = 'ab', c = 'ab ', c LIKE 'ab', c LIKE 'ab ' FROM events WHERE c IS NOT NULL
-- identity, generated, sequences
CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bigint GENERATED BY DEFAULT AS IDENTITY (START WITH 100 INCREMENT BY 10), v text)
INSERT INTO ident (v) VALUES ('a'), ('b') RETURNING id, b
INSERT INTO ident (id, v) VALUES (5, 'c')
INSERT INTO ident (id, v) OVERRIDING SYSTEM VALUE VALUES (5, 'c') RETURNING id
INSERT INTO ident (b, v) VALUES (7, 'd') RETURNING id, b
UPDATE ident SET id = 9 WHERE id = 1
CREATE TABLE gen (a int, b int, c int GENERATED ALWAYS AS (a * b) STORED)
INSERT INTO gen (a, b) VALUES (3, 4) RETURNING c
INSERT INTO gen (a, b, c) VALUES (3, 4, 5)
UPDATE gen SET a = 5 RETURNING c
CREATE SEQUENCE sq START 10 INCREMENT 5
SELECT nextval('sq'), nextval('sq'::regclass), currval('sq'), lastval()
SELECT setval('sq', 100), nextval('sq')
SELECT setval('sq', 200, false), nextval('sq')
SELECT nextval('nosuch')
CREATE SEQUENCE sq
CREATE SEQUENCE sq2 MAXVALUE 2
SELECT nextval('sq2')
SELECT nextval('sq2')
SELECT nextval('sq2')
DROP SEQUENCE sq2
DROP SEQUENCE users_id_seq
-- views
CREATE VIEW active_users AS SELECT id, name FROM users WHERE active
SELECT * FROM active_users ORDER BY id
CREATE VIEW v2 (a, b) AS SELECT user_id, count(*) FROM posts GROUP BY user_id
SELECT a, b FROM v2 ORDER BY a
SELECT au.name, v2.b FROM active_users au JOIN v2 ON v2.a = au.id ORDER BY 1
CREATE VIEW active_users AS SELECT 1
CREATE OR REPLACE VIEW active_users AS SELECT id, name, age FROM users WHERE active
SELECT * FROM active_users WHERE id = 1
DROP TABLE users
DROP VIEW v2
DROP VIEW nosuch
DROP VIEW IF EXISTS nosuch
-- indexes and alter
CREATE INDEX ON posts (title)
CREATE UNIQUE INDEX posts_lower ON posts (lower(title)) WHERE id < 100
CREATE INDEX posts_lower ON posts (id)
CREATE INDEX IF NOT EXISTS posts_lower ON posts (id)
INSERT INTO posts (id, title) VALUES (60, 'SECOND')
CREATE INDEX bad ON posts (nope)
CREATE INDEX bad ON posts (now())
ALTER TABLE posts ADD COLUMN views int NOT NULL DEFAULT 7
SELECT id, views FROM posts ORDER BY id
ALTER TABLE posts ADD COLUMN views int
ALTER TABLE posts ADD COLUMN IF NOT EXISTS views int
ALTER TABLE posts ADD COLUMN must int NOT NULL
ALTER TABLE posts RENAME COLUMN views TO hits
SELECT hits FROM posts WHERE id = 1
ALTER TABLE posts ALTER COLUMN hits SET DEFAULT 9
INSERT INTO posts (id, title) VALUES (70, 'seventy') RETURNING hits
ALTER TABLE posts ALTER COLUMN hits TYPE numeric
SELECT hits + 0.5 FROM posts WHERE id = 70
ALTER TABLE posts ALTER COLUMN title TYPE int
ALTER TABLE posts ALTER COLUMN hits DROP NOT NULL
UPDATE posts SET hits = NULL WHERE id = 70
ALTER TABLE posts ALTER COLUMN hits SET NOT NULL
ALTER TABLE posts ADD CONSTRAINT hits_small CHECK (hits < 1000)
UPDATE posts SET hits = 5000 WHERE id = 1
ALTER TABLE posts ADD CONSTRAINT bad CHECK (id < 0)
ALTER TABLE posts DROP CONSTRAINT hits_small
UPDATE posts SET hits = 5000 WHERE id = 1
ALTER TABLE posts ADD CONSTRAINT title_key UNIQUE (title)
INSERT INTO posts (id, title) VALUES (71, 'seventy')
ALTER TABLE posts DROP CONSTRAINT nosuch
ALTER TABLE posts DROP COLUMN hits
SELECT * FROM posts WHERE id = 70
ALTER TABLE posts DROP COLUMN nosuch
ALTER TABLE posts RENAME TO articles
SELECT count(*) FROM articles
SELECT count(*) FROM posts
ALTER TABLE nosuch ADD COLUMN a int
ALTER TABLE IF EXISTS nosuch ADD COLUMN a int
DELETE FROM users WHERE id = 1
SELECT id FROM articles ORDER BY id
TRUNCATE users
TRUNCATE articles
SELECT count(*) FROM articles
TRUNCATE ident RESTART IDENTITY
INSERT INTO ident (v) VALUES ('again') RETURNING id, b
CREATE TABLE nokey (a int, b text)
INSERT INTO nokey VALUES (1, 'x'), (1, 'x') RETURNING *
SELECT * FROM nokey
CREATE TABLE as_t AS SELECT id, name, balance * 2 AS twice FROM users ORDER BY id
SELECT * FROM as_t ORDER BY id
CREATE TABLE child (id int PRIMARY KEY, parent int, CONSTRAINT child_parent_fk FOREIGN KEY (parent) REFERENCES child (id), UNIQUE (parent, id))
INSERT INTO child VALUES (1, NULL), (2, 1)
INSERT INTO child VALUES (3, 99)
DELETE FROM child WHERE id = 1
CREATE TABLE bad (a int, a int)
CREATE TABLE bad (a nosuch)
CREATE TABLE bad (a int REFERENCES nosuch)
CREATE TABLE bad (a int REFERENCES nokey)
CREATE TABLE bad (a int PRIMARY KEY, b int PRIMARY KEY)
CREATE TABLE bad (a int DEFAULT 'x')
CREATE TABLE bad (a int CHECK (b > 1))
DROP TABLE child, nokey
DROP TABLE nosuch
DROP TABLE IF EXISTS nosuch
DROP TABLE articles
DROP TABLE users CASCADE
SELECT * FROM active_users
-- syntax
SELEC 1
SELECT FROM
SELECT 1 +
SELECT 'abc
-- to_char and friends
SELECT to_char(timestamp '2020-03-04 05:06:07.089', 'YYYY-MM-DD HH24:MI:SS'), to_char(timestamp '2020-03-04 15:06:07.089', 'HH12:MI:SS AM MS US'), to_char(timestamp '2020-03-04', 'Day, DD Month YYYY'), to_char(timestamp '2020-03-04', 'FMDay, FMDD FMMonth YYYY'), to_char(date '2020-03-04', 'Dy DD Mon YY'), to_char(timestamp '2020-03-04', 'DDD D ID WW IW IYYY Q J CC')
SELECT to_char(timestamp '2020-03-01', 'DDth "of" month'), to_char(timestamptz '2020-03-04 05:06:07+00', 'YYYY-MM-DD"T"HH24:MI:SSOF TZ'), to_char(timestamp '2020-01-01', 'MON mon Mon'), to_char(interval '1 day 02:03:04', 'DD HH24:MI:SS'), to_char(timestamp '2020-03-04 05:06:07.089', 'SSSS FF3 FF6')
SELECT to_char(1234.5, '9999.99'), to_char(1234.5, '9,999.99'), to_char(0.5, '9.9'), to_char(0.5, '0.9'), to_char(-12, '999'), to_char(12, '0000'), to_char(12, 'FM0000'), to_char(1234567, '9,999,999'), to_char(12.345, 'FM999.99'), to_char(12345, '999'), to_char(-5, '9MI'), to_char(5, 'S9'), to_char(-5, '9PR')
SELECT to_char(1.5::float8, '9.99'), to_char(12::int8, '99'), to_char(0, '9'), to_char(12.5, 'FM990.00'), to_char(1234.56, 'FM9,999.0')
SELECT to_date('2020-03-04', 'YYYY-MM-DD'), to_date('04 Mar 2020', 'DD Mon YYYY'), to_date('20200304', 'YYYYMMDD'), to_timestamp('2020-03-04 05:06:07', 'YYYY-MM-DD HH24:MI:SS'), to_timestamp('04/03/2020 05:06 PM', 'DD/MM/YYYY HH12:MI PM'), to_date('2020-064', 'YYYY-DDD')
SELECT to_date('2020-13-04', 'YYYY-MM-DD')
SELECT to_date('xx', 'YYYY-MM-DD')
SELECT power(1.5, 2), 2.0 ^ 3, power(2.0, -2), sqrt(2.0), sqrt(16.00), 2 ^ 10, width_bucket(5.35, 0.024, 10.06, 5), width_bucket(5::float8, 0, 10, 5)
SELECT stddev(x), variance(x), stddev_pop(x), var_pop(x) FROM generate_series(1, 10) x
SELECT stddev(x), variance(x) FROM (VALUES (1.5), (2.25), (4)) v(x)
SELECT ARRAY[1,2] || 3, 0 || ARRAY[1], ARRAY[1] || ARRAY[2,3], array_append(ARRAY['a'], 'b'), array_position(ARRAY['a','b'], 'b'), array_remove(ARRAY[1,2,1], 1), array_cat(ARRAY[1], ARRAY[2])
SELECT ARRAY[1,2] @> ARRAY[1], ARRAY[1,2] && ARRAY[2,3], ARRAY[1] <@ ARRAY[1,2], ARRAY[1,2] = ARRAY[1,2]
SELECT ARRAY(SELECT x FROM generate_series(1,3) x), array(select 'a' where false)
SELECT a.n, b.n FROM generate_series(1,2) a(n), generate_series(1, a.n) b(n) ORDER BY 1, 2
SELECT count(*) FROM generate_series(1, 100) x WHERE x % 7 = 0
SELECT x, CASE WHEN x > 1 THEN 'big' ELSE 'small' END AS size FROM generate_series(1, 2) x
--! refused
SELECT 'abc' COLLATE "C" < 'abd', 'a' COLLATE "nosuch"
SELECT nullif(5, 5.0), nullif(NULL, 1), coalesce('a', 'b')
SELECT EXISTS (SELECT 1), NOT EXISTS (SELECT 1 WHERE false)
SELECT current_user, session_user, current_schema
SELECT 'a' AS "select", 1 AS "Mixed Case"
SELECT 1 AS a, 2 AS a
SELECT * FROM (SELECT 1 AS a, 2 AS a) x
SELECT a FROM (SELECT 1 AS a, 2 AS a) x
SELECT x.* FROM (SELECT 1 AS a, 'b' AS b) x
SELECT (SELECT count(*) FROM generate_series(1, x)) FROM generate_series(1, 3) x
SELECT sum(x) FILTER (WHERE x > 1), count(DISTINCT x % 2), string_agg(DISTINCT (x % 2)::text, ',') FROM generate_series(1, 4) x
SELECT string_agg(x::text, ',' ORDER BY x DESC) FROM generate_series(1, 3) x
SELECT x % 2 AS odd, sum(x) FROM generate_series(1, 5) x GROUP BY odd HAVING sum(x) > 6 ORDER BY odd
SELECT x % 2, x FROM generate_series(1, 5) x GROUP BY x % 2
SELECT sum(x) OVER (ORDER BY x), avg(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM generate_series(1, 4) x
SELECT sum(x::numeric) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM generate_series(1, 3) x
SELECT bit_and(x), bit_or(x) FROM generate_series(1, 3) x
SELECT max(x) FROM generate_series(1, 3) x WHERE false
SELECT min('b'::text), max(true::text), max(date '2020-01-01'), min(1.5)
SELECT every(x > 0) FROM generate_series(1, 2) x
SELECT avg(x::float8), avg(x::int8), sum(x::int8), avg(x::numeric(5,2)) FROM generate_series(1, 2) x
SELECT sum(interval '1 hour' * x), avg(interval '1 day' * x) FROM generate_series(1, 2) x
CREATE TABLE t1 (a int, b text, c numeric)
INSERT INTO t1 VALUES (1, 'x', 1.10), (2, 'y', 1.1), (NULL, NULL, NULL)
SELECT a FROM t1 WHERE a NOT IN (1) ORDER BY a
SELECT b FROM t1 ORDER BY b DESC
SELECT c FROM t1 ORDER BY c NULLS FIRST, a
SELECT count(DISTINCT c) FROM t1
SELECT a, b FROM t1 WHERE (a, b) = (1, 'x')
SELECT a FROM t1 WHERE b > 'x' OR b IS NULL ORDER BY a
SELECT t1.*, t1.a + 1 FROM t1 WHERE a = 1
SELECT row_to_json(t1) FROM t1 WHERE a = 2
SELECT a, sum(c) OVER () FROM t1 ORDER BY a
SELECT b, c FROM t1 UNION SELECT 'z', 5 ORDER BY b
SELECT a FROM t1 UNION ALL SELECT c FROM t1 ORDER BY 1
SELECT t.a FROM t1 t WHERE t.a = (SELECT max(a) FROM t1)
UPDATE t1 SET c = c + 1, b = upper(b) WHERE a IS NOT NULL
SELECT * FROM t1 ORDER BY a
UPDATE t1 SET a = (SELECT 5) WHERE b = 'X' RETURNING *
DELETE FROM t1 WHERE a IS NULL RETURNING a, b
INSERT INTO t1 (a) SELECT x FROM generate_series(10, 12) x
SELECT count(*), sum(a) FROM t1
INSERT INTO t1 (b, a) VALUES ('only', DEFAULT) RETURNING a, b, c
INSERT INTO t1 SELECT 1, 'two', 3 UNION ALL SELECT 4, 'five', 6.5
INSERT INTO t1 (a, b) SELECT 1
INSERT INTO t1 (c) VALUES ('abc')
INSERT INTO t1 (a) VALUES (3000000000)
INSERT INTO t1 (a) VALUES (2147483647 + 1)
SELECT a FROM t1 GROUP BY a HAVING count(*) > 1 ORDER BY a
SELECT a, b FROM t1 ORDER BY a LIMIT 2 OFFSET 1
CREATE TABLE "Camel" ("Id" serial PRIMARY KEY, "userName" text)
INSERT INTO "Camel" ("userName") VALUES ('u') RETURNING "Id"
SELECT "userName" FROM "Camel"
SELECT username FROM "Camel"
SELECT * FROM camel
DROP TABLE "Camel", t1
SELECT 1 WHERE 'a' = ANY('{a,b}'::text[])
SELECT 1::bigint = ANY('{1,2}'), 'x' = ANY('{}'::text[]), NULL = ANY('{1}'::int[])
--! refused
SELECT substring('foobar', 2, 3), substring('foobar' similar 'f(o+)b%' escape '#')
SELECT 'abc' < 'ABC', 'a' < 'B', 'é' > 'z'
SELECT '2020-01-01'::date::timestamptz, '2020-01-01 10:00'::timestamp::timestamptz, '10:00'::time::interval
SELECT interval '1 year' + date '2020-02-29', date '2020-01-01' - interval '1 day', 5 + date '2020-01-01'
SELECT extract(epoch from timestamp '2020-01-01')::bigint, extract(epoch from now())::int > 0
SELECT extract(day from interval '40 days'), extract(month from interval '14 months'), extract(milliseconds from time '00:00:01.5'), extract(julian from date '2000-01-01')
SELECT timestamp '2020-01-01' > '2019-12-31', date '2020-01-01' = '2020-01-01', '1 day' > interval '1 hour'
SELECT upper(NULL), length(NULL), NULL + 1, NULL || 'a', abs(NULL::int)
SELECT 1 + NULL::int, NULL::int4 = 1, NULL::text LIKE 'a'
SELECT round(1.005, 2), round(-0.5), round(0.5), round(1e3, -3), 1.0 * 1.00, 0.00 + 0, 1.50 - 0.5
SELECT 12345678901234567890 + 1, 99999999999999999999 * 99999999999999999999, 1.0 / 7.0, 22 / 7.0
SELECT 3 = 3.0::float8, 0.1::float8 + 0.2 = 0.3, 1::numeric / 3 * 3, 1e-10::numeric, 1.5e10
SELECT '  5 '::int, ' 1.5 '::numeric, ' true '::bool
SELECT 5::numeric(3), '5.678'::numeric(3,1), 5::varchar, 5::char(3)
SELECT -2147483648, -9223372036854775808, -(-5), +5, 2 - -3
SELECT 7.0 % 0
SELECT 5 % 0
SELECT 5::int2 / 0::int2
SELECT 2147483648::int
SELECT 1e400::float8
SELECT '1e400'::float8
SELECT abs(-9223372036854775808)
SELECT to_json(ARRAY[1,2]), array_to_json(ARRAY['a']), to_jsonb('{"a":1}'::json), json_build_object('k', '[1]'::jsonb)
SELECT '{"a":[1,{"b":2}]}'::jsonb #> '{a,1,b}', '{"a":1}'::jsonb -> 'a' = '1', '{"x":"y"}'::jsonb ->> 'x' || 'z'
SELECT jsonb_agg(x ORDER BY x), jsonb_object_agg(x::text, x * 2) FROM generate_series(1, 3) x
SELECT e ->> 'n' FROM jsonb_array_elements('[{"n":1},{"n":2}]') e
SELECT value -> 'n' FROM jsonb_array_elements('[{"n":1},{"n":2}]')
SELECT * FROM jsonb_object_keys('{"a":1,"b":2}') AS k
-- shapes that applications and drivers send
SELECT n.nspname FROM (SELECT 'public' AS nspname) n WHERE n.nspname OPERATOR(pg_catalog.~) '^(public)$' COLLATE pg_catalog.default
SELECT pg_catalog.lower('X'), 'x'::pg_catalog.text, CAST('1' AS pg_catalog.int4)
SELECT * FROM (SELECT 1 AS id) a LEFT JOIN (SELECT 1 AS id, 'x' AS v) b ON a.id = b.id LEFT JOIN (SELECT 2 AS id) c ON c.id = a.id
SELECT (SELECT array_agg(x) FROM generate_series(1, 2) x), (SELECT json_agg(t) FROM (SELECT 1 AS a) t)
SELECT x FROM generate_series(1, 10) x ORDER BY x DESC LIMIT 3 OFFSET (SELECT 1)
SELECT x, count(*) OVER () AS total FROM generate_series(1, 3) x ORDER BY x LIMIT 1
SELECT DISTINCT x % 2 AS m FROM generate_series(1, 5) x ORDER BY m
SELECT max(x) - min(x), sum(x) / count(*), sum(x)::float / count(*) FROM generate_series(1, 4) x
SELECT CASE WHEN count(*) = 0 THEN 'none' ELSE 'some' END FROM generate_series(1, 0)
SELECT coalesce(sum(x), 0) FROM generate_series(1, 0) x
SELECT date_trunc('day', d)::date, count(*) FROM generate_series(timestamp '2020-01-01', timestamp '2020-01-02 12:00', interval '12 hours') d GROUP BY date_trunc('day', d) ORDER BY 1
SELECT lower(s) || '-' || length(s) FROM (VALUES ('Ab'), ('cDe')) v(s) ORDER BY length(s) DESC
SELECT a.i, b.j FROM (VALUES (1), (2)) a(i) CROSS JOIN (VALUES ('x'), ('y')) b(j) WHERE a.i > 1 ORDER BY b.j
SELECT i FROM (VALUES (3), (1), (2)) v(i) ORDER BY i % 2, i
SELECT i, sum(i) OVER (ORDER BY i ROWS UNBOUNDED PRECEDING) FROM (VALUES (3), (1), (2)) v(i)
WITH a AS (SELECT 1 AS x UNION ALL SELECT 2), b AS (SELECT x * 10 AS y FROM a) SELECT a.x, b.y FROM a JOIN b ON b.y = a.x * 10 ORDER BY 1
WITH x AS (SELECT 1), x AS (SELECT 2) SELECT 1
SELECT * FROM (SELECT 1) AS s (a, b)
SELECT q.a FROM (SELECT 1 AS a) q, LATERAL (SELECT q.a + 1) r
CREATE TABLE kv (k text PRIMARY KEY, v jsonb NOT NULL DEFAULT '{}', n bigint DEFAULT 1, ts timestamptz DEFAULT '2020-01-01 00:00+00')
INSERT INTO kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET n = kv.n + 1 RETURNING k, v, n
INSERT INTO kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET n = kv.n + excluded.n, v = kv.v || '{"hit": true}' RETURNING n, v
INSERT INTO kv (k, v) VALUES ('b', '{"tags": ["x", "y"], "n": 5}')
SELECT k FROM kv WHERE v @> '{"n": 5}'
SELECT k, v -> 'tags' -> 0, (v ->> 'n')::int + 1 FROM kv WHERE v ? 'tags'
SELECT k FROM kv WHERE v -> 'tags' ? 'y' AND (v ->> 'n')::numeric > 4.5
UPDATE kv SET v = jsonb_set(v, '{n}', to_jsonb((v ->> 'n')::int + 1)) WHERE k = 'b' RETURNING v
INSERT INTO kv (k, v) VALUES (NULL, '{}')
INSERT INTO kv (k, v) VALUES ('c', NULL)
INSERT INTO kv (k, v) VALUES ('c', 'bad')
SELECT count(*) FROM kv WHERE k LIKE 'a%'
SELECT k FROM kv WHERE k ILIKE 'B' OR k ~ '^z'
SELECT k, ts AT TIME ZONE 'UTC', extract(year from ts)::int FROM kv ORDER BY k
DELETE FROM kv WHERE k IN ('a', 'b') RETURNING k
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL, total numeric(10,2) NOT NULL CHECK (total >= 0), status varchar(10) NOT NULL DEFAULT 'new', UNIQUE (customer, status))
INSERT INTO orders (customer, total) VALUES (1, 10), (2, 20.555), (3, 0) RETURNING id, total
INSERT INTO orders (customer, total) VALUES (1, 5)
INSERT INTO orders (customer, total) VALUES (9, -0.01)
INSERT INTO orders (customer, total, status) VALUES (9, 1, 'much too long')
UPDATE orders SET status = CASE WHEN total > 15 THEN 'big' ELSE status END RETURNING id, status
SELECT status, count(*), sum(total), round(avg(total), 2) FROM orders GROUP BY status ORDER BY count(*) DESC, status
SELECT customer, total, rank() OVER (ORDER BY total DESC) FROM orders ORDER BY 3, 1
SELECT o.id FROM orders o WHERE o.total = (SELECT max(total) FROM orders WHERE customer = o.customer) ORDER BY 1
SELECT sum(total) FILTER (WHERE status = 'new') AS new_total, sum(total) AS all_total FROM orders
WITH moved AS (SELECT id FROM orders WHERE total = 0) UPDATE orders SET status = 'free' WHERE id IN (SELECT id FROM moved) RETURNING id, status
DELETE FROM orders o USING (SELECT 1 AS c) x WHERE o.customer = x.c
SELECT count(*) FROM orders
ALTER TABLE orders ADD COLUMN note text DEFAULT 'n/a', ADD COLUMN weight real
SELECT id, note, weight FROM orders ORDER BY id
ALTER TABLE orders RENAME CONSTRAINT orders_total_check TO total_ok
UPDATE orders SET total = -1
CREATE INDEX orders_expr ON orders ((total * 2), customer DESC)
DROP INDEX orders_expr
DROP INDEX orders_customer_status_key
DROP TABLE orders, kv
-- sets of matches
SELECT regexp_matches('foobarbaz', 'ba(.)', 'g')
SELECT regexp_matches('foobarbaz', 'ba.')
SELECT regexp_matches('foobarbaz', 'x')
SELECT (regexp_matches('a=1,b="2"', '(\w)=([^,]+)', 'g'))[2]
SELECT m FROM regexp_matches('k1:v1 k2:v2', '(\w+):(\w+)', 'g') AS m
-- a migration as Django writes it
CREATE TABLE "app_author" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "name" varchar(100) NOT NULL)
CREATE TABLE "app_book" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "title" varchar(200) NOT NULL, "published" date NULL, "price" numeric(10, 2) NOT NULL, "author_id" bigint NOT NULL)
ALTER TABLE "app_book" ADD CONSTRAINT "app_book_author_id_fk" FOREIGN KEY ("author_id") REFERENCES "app_author" ("id") DEFERRABLE INITIALLY DEFERRED
CREATE INDEX "app_book_author_id" ON "app_book" ("author_id")
CREATE INDEX "app_book_title_like" ON "app_book" ("title" varchar_pattern_ops)
INSERT INTO "app_author" ("name") VALUES ('Le Guin'), ('Lem') RETURNING "app_author"."id"
INSERT INTO "app_book" ("title", "published", "price", "author_id") VALUES ('Solaris', '1961-01-01'::date, '9.99', 2) RETURNING "app_book"."id"
ALTER TABLE "app_book" ADD COLUMN "stock" integer DEFAULT 0 NOT NULL
ALTER TABLE "app_book" ALTER COLUMN "stock" DROP DEFAULT
INSERT INTO "app_book" ("title", "price", "author_id") VALUES ('Eden', 1, 2)
ALTER TABLE "app_book" ADD COLUMN "isbn" varchar(13) NULL UNIQUE
ALTER TABLE "app_book" RENAME COLUMN "title" TO "name"
ALTER TABLE "app_book" ADD CONSTRAINT "app_book_stock_check" CHECK ("stock" >= 0)
ALTER TABLE "app_book" ADD CONSTRAINT "app_book_name_author_uniq" UNIQUE ("name", "author_id")
UPDATE "app_book" SET "stock" = -1
ALTER TABLE "app_book" ALTER COLUMN "price" TYPE numeric(12, 3)
ALTER TABLE "app_book" ALTER COLUMN "published" SET NOT NULL
ALTER TABLE "app_author" RENAME TO "app_writer"
SELECT "app_book"."id", "app_book"."name", "app_book"."price", "app_book"."stock", "app_writer"."name" FROM "app_book" INNER JOIN "app_writer" ON ("app_book"."author_id" = "app_writer"."id") WHERE UPPER("app_book"."name"::text) LIKE UPPER('sol%') ORDER BY "app_book"."id" ASC LIMIT 21
SELECT COUNT(*) AS "__count" FROM "app_book" WHERE "app_book"."published" BETWEEN '1961-01-01' AND '1961-12-31'
ALTER TABLE "app_book" DROP CONSTRAINT "app_book_name_author_uniq"
ALTER TABLE "app_book" DROP COLUMN "isbn" CASCADE
DROP INDEX IF EXISTS "app_book_title_like"
ALTER TABLE "app_book" ALTER COLUMN "stock" TYPE bigint USING "stock"::bigint
DROP TABLE "app_book" CASCADE
DROP TABLE "app_writer" CASCADE
-- window frames and filters
SELECT g, sum(g) OVER (ORDER BY g ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING), first_value(g) OVER (ORDER BY g RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), count(*) FILTER (WHERE g > 2) OVER (ORDER BY g) FROM generate_series(1, 4) g
SELECT g, sum(g) OVER w, avg(g) OVER w FROM generate_series(1, 4) g WINDOW w AS (ORDER BY g GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)
SELECT count(*) FILTER (WHERE g > 2), string_agg(g::text, '-' ORDER BY g DESC), array_agg(g ORDER BY g DESC) FROM generate_series(1, 4) g
SELECT string_agg(DISTINCT (g % 2)::text, ',' ORDER BY (g % 2)::text DESC) FROM generate_series(1, 4) g
SELECT DISTINCT ON (g % 2) g % 2 AS odd, g FROM generate_series(1, 5) g ORDER BY g % 2, g DESC
SELECT a, b FROM generate_series(1, 3) a FULL JOIN generate_series(2, 4) b ON a = b ORDER BY 1 NULLS LAST, 2
SELECT a, b FROM generate_series(1, 3) a, LATERAL generate_series(1, a) b ORDER BY 1, 2
SELECT a.x, u FROM (VALUES (1, ARRAY['a','b']), (2, ARRAY['c'])) a(x, y) CROSS JOIN LATERAL unnest(a.y) u ORDER BY 1, 2
SELECT a.x, e.key, e.value FROM (VALUES (1, '{"k":1,"l":[2]}'::jsonb)) a(x, y), LATERAL jsonb_each(a.y) e ORDER BY 2
-- LATERAL subqueries
CREATE TABLE lat_a (id int PRIMARY KEY, name text, n numeric(6,2), flag boolean, at timestamptz)
CREATE TABLE lat_b (id int PRIMARY KEY, a_id int REFERENCES lat_a (id), v int, t text, b bytea)
INSERT INTO lat_a VALUES (1, 'one', 1.50, true, '2020-01-01 00:00+00'), (2, 'two', 20, false, NULL), (3, NULL, NULL, NULL, '2021-02-03 04:05+00')
INSERT INTO lat_b VALUES (1, 1, 10, 'x', '\x00'), (2, 1, 20, 'y', NULL), (3, 1, 30, '', '\xff00'), (4, 2, 5, NULL, NULL), (5, NULL, 7, 'z', NULL)
SELECT a.id, b.* FROM lat_a a, LATERAL (SELECT v, t FROM lat_b WHERE a_id = a.id ORDER BY v DESC LIMIT 2) b ORDER BY a.id, b.v
SELECT a.id, b.v, b.b FROM lat_a a LEFT JOIN LATERAL (SELECT v, b FROM lat_b WHERE a_id = a.id ORDER BY v LIMIT 1) b ON true ORDER BY a.id
SELECT a.id, s.total, s.c, s.m FROM lat_a a CROSS JOIN LATERAL (SELECT sum(v) AS total, count(*) AS c, max(t) AS m FROM lat_b WHERE a_id = a.id) s ORDER BY 1
SELECT a.id, x.twice, x.up FROM lat_a a, LATERAL (SELECT a.n * 2 AS twice, upper(a.name) AS up) x ORDER BY a.id
SELECT a.id, y.z FROM lat_a a, LATERAL (SELECT a.id + 1 AS y) x, LATERAL (SELECT x.y * 10 AS z) y ORDER BY 1
SELECT a.id, x.k, x.w FROM lat_a a, LATERAL (SELECT v, t FROM lat_b WHERE a_id = a.id UNION ALL SELECT a.id, 'self') x(k, w) ORDER BY 1, 2
SELECT a.id FROM lat_a a WHERE EXISTS (SELECT 1 FROM lat_b b, LATERAL (SELECT b.v + a.id AS s) q WHERE b.a_id = a.id AND q.s > 11) ORDER BY 1
SELECT a.name, l.n IS NULL, l.flag, l.at FROM lat_a a JOIN LATERAL (SELECT a.n, a.flag, a.at) l ON a.id < 3 ORDER BY a.id
SELECT l.n, count(*) FROM lat_a a, LATERAL (SELECT a.n FROM lat_b) l GROUP BY l.n ORDER BY l.n NULLS FIRST
SELECT * FROM lat_a a, LATERAL (SELECT nothing.v) l
SELECT a.id FROM lat_a a, (SELECT a.id AS i) l
SELECT v.x, l.s FROM (VALUES (1), (2)) v(x), LATERAL (SELECT string_agg(g::text, ',') AS s FROM generate_series(1, v.x) g) l ORDER BY 1
DROP TABLE lat_b
DROP TABLE lat_a
-- constraints behind a column, sequences of columns that are added
CREATE TABLE def_p (id int PRIMARY KEY)
CREATE TABLE def_c (p int REFERENCES def_p (id) DEFERRABLE INITIALLY DEFERRED)
INSERT INTO def_p VALUES (1), (2)
ALTER TABLE def_p ADD COLUMN s serial
SELECT * FROM def_p ORDER BY id
INSERT INTO def_p (id) VALUES (3) RETURNING s
CREATE TABLE ident (id int NOT NULL, other int, d int NOT NULL DEFAULT 1)
ALTER TABLE ident ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME ident_numbers START WITH 5 INCREMENT BY 2)
INSERT INTO ident (other) VALUES (1), (2) RETURNING id
ALTER TABLE ident ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE ident ALTER COLUMN other ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE ident ALTER COLUMN d ADD GENERATED ALWAYS AS IDENTITY
SELECT nextval('ident_numbers')
DROP TABLE def_c
DROP TABLE def_p
DROP TABLE ident
SELECT ('abc'::name)[0], ('abc'::name)[2], ('abc'::name)[64] IS NULL
-- exponentials and logarithms of exact numbers
SELECT exp(0.0), exp(1.0), exp(1), exp(-1.0), exp(2.5), exp(10.123), exp(-10.123), exp(100.0), exp(-100.0), exp(1e-20)
SELECT exp(0.1234567890123456789012345), exp(3000.0) > 1, exp(-7000.0) = 0
SELECT exp(7000.0)
SELECT ln(1.0), ln(2.0), ln(10.0), ln(0.5), ln(1.1), ln(0.9), ln(1.05), ln(1.000001), ln(0.999999999), ln(123456789.987654321)
SELECT ln(1e100), ln(1e-100), ln(3.00000000000000000000000000000), ln(12345678), ln(0.00000123)
SELECT ln(0.0)
SELECT ln(-1.5)
SELECT log(100.0), log(2.0), log(0.001), log(1.0), log10(12345.678), log(2.0, 64.0), log(3.0, 10.0), log(1.5, 0.25), log(10.0, 1.0000001), log(1.0001, 2.0)
SELECT log(0.0)
SELECT log(1.0, 5.0)
SELECT log(-2.0, 5.0)
SELECT power(2.0, 0.5), power(10.0, 1.5), 2.0 ^ 3.5, power(1.5, -2.25), power(0.5, 0.5), power(123.456, 7.89), power(9.0, 0.5), power(0.0, 0.5), power(1e10, 2.5), power(1e-10, 2.5)
SELECT power(-2.0, 0.5)
SELECT power(10.0, 9999.5)
SELECT exp(NULL::numeric), ln(NULL::numeric)
SELECT g, ln(g), exp(g / 7.0), log(g), power(g, 0.3) FROM generate_series(1.0, 40.0, 1.7) g ORDER BY g
SELECT g, ln(g), log(2.0, g) FROM generate_series(0.85, 1.15, 0.013) g ORDER BY g
-- statements in WITH that change rows
CREATE TABLE wm_a (id serial PRIMARY KEY, name text, n numeric(6,2))
CREATE TABLE wm_b (id int PRIMARY KEY, a_id int REFERENCES wm_a (id), what text)
CREATE TABLE wm_log (id int, name text, n numeric, at date)
WITH ins AS (INSERT INTO wm_a (name, n) VALUES ('one', 1.5), ('two', 2), (NULL, NULL) RETURNING id, name, n) SELECT * FROM ins ORDER BY id
WITH p AS (INSERT INTO wm_a (name) VALUES ('parent') RETURNING id) INSERT INTO wm_b SELECT 1, id, 'child' FROM p RETURNING *
WITH gone AS (DELETE FROM wm_b RETURNING *) INSERT INTO wm_log (id, name) SELECT id, what FROM gone
WITH up AS (UPDATE wm_a SET n = n * 2 WHERE n IS NOT NULL RETURNING id, n AS twice) SELECT count(*), sum(twice) FROM up
WITH up(i, x) AS (UPDATE wm_a SET n = 1 WHERE id = 1 RETURNING id, name) SELECT u.i + 1, upper(u.x) FROM up u
WITH x AS (DELETE FROM wm_log RETURNING id, name), y AS (INSERT INTO wm_b SELECT id + 10, NULL, name FROM x RETURNING id) SELECT y.id, x.name FROM x, y
WITH x AS (INSERT INTO wm_log VALUES (1, 'l', 2.50, '2020-01-02') RETURNING *), s AS (SELECT n + 1 AS m, at FROM x) SELECT * FROM s
WITH x AS (INSERT INTO wm_log VALUES (2, 'quiet', 0, NULL)) SELECT count(*) >= 0 FROM wm_b
WITH x AS (INSERT INTO wm_log VALUES (3, 'q', 0, NULL)) SELECT * FROM x
WITH x AS (UPDATE wm_log SET n = 9 WHERE id = 77 RETURNING id) SELECT * FROM x
WITH x AS (DELETE FROM wm_log WHERE id = 2 RETURNING id) UPDATE wm_b SET what = 'from ' || x.id FROM x WHERE wm_b.id = 11
WITH x AS (DELETE FROM wm_log WHERE id = 1 RETURNING id) DELETE FROM wm_b USING x WHERE wm_b.id = x.id + 10 RETURNING what
--! refused
WITH x AS (DELETE FROM wm_log WHERE id = 55 RETURNING id) SELECT count(*) FROM wm_log
--! refused
WITH x AS (DELETE FROM wm_a WHERE id > 100 RETURNING id) SELECT count(*) FROM wm_b
--! refused
WITH s AS (SELECT 1 AS v), x AS (INSERT INTO wm_log SELECT v, 's', 0, NULL FROM s WHERE v > 1 RETURNING id) SELECT * FROM x
SELECT * FROM (WITH x AS (DELETE FROM wm_log RETURNING id) SELECT * FROM x) q
SELECT id, name, n FROM wm_a ORDER BY id
SELECT * FROM wm_b ORDER BY id
SELECT * FROM wm_log ORDER BY id
DROP TABLE wm_b
DROP TABLE wm_a
DROP TABLE wm_log
