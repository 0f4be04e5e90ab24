#!/usr/bin/env python3
"""Writes router/engine/sqlite/catalog_{operators,casts,procs}.c from the catalog of a PostgreSQL 15.

usage: make_catalog.py OUTPUT_FOLDER PSQL_ARGUMENT...     (what psql needs to connect, e.g. -h /tmp -d postgres)
"""
import subprocess
import sys

TYPES = ("2776,5077,5078,16,17,18,19,20,21,22,23,24,25,26,30,114,194,700,701,1042,1043,1082,1083,1114,1184,1186,1266,1700,2205,2206,2249,2275,2276,2277,2278,"
         "2283,2950,3802,4089,4096,1000,1001,1002,1003,1005,1007,1009,1014,1015,1016,1021,1022,1028,1115,1182,1183,1185,1187,1231,1270,2951,199,3807,5079,5080,28")

HEAD = """/*
 * %s of PostgreSQL 15 as far as this engine's types go: facts of pg_%s, so that types are resolved exactly as
 * PostgreSQL does. Made by tests/differential/sqlite/make_catalog.py; not edited by hand.
 */
#include "router/engine/sqlite/catalog_data.h"

"""

OPERATORS = f"""
select oprname, oprleft, oprright, oprresult, case when prolang = 14 then proname || '/' || pronargs else prosrc end
from pg_operator join pg_proc p on p.oid = oprcode
where (oprleft = 0 or oprleft in ({TYPES})) and oprright in ({TYPES}) and oprresult in ({TYPES})
order by oprname, oprleft, oprright"""

CASTS = f"""
select castsource, casttarget, castcontext, castmethod,
       coalesce((select prosrc from pg_proc where oid = castfunc), '-')
from pg_cast where castsource in ({TYPES}) and casttarget in ({TYPES}) order by 1, 2"""

# Aggregates and SQL functions have no implementation name of their own: their key is the name (and arity).
PROCS = f"""select proname, case when prokind='a' then proname when prolang=14 then proname||'/'||pronargs else prosrc end, prokind,proretset,provariadic,provolatile,prorettype,pronargdefaults,array_to_string(proargtypes::oid[],' '), p.oid
 from pg_proc p where prolang in (12,14) and pronamespace=11 and prorettype in ({TYPES}) and pronargs<=8 and not exists(select 1 from unnest(proargtypes::oid[]) a where a not in ({TYPES}))
 and (prokind<>'f' or p.oid not in (select oprcode from pg_operator) or proname in ('round','power','like','concat','mod','starts_with','pow','date_part','jsonb_contains','json_extract_path','json_extract_path_text','jsonb_extract_path','jsonb_extract_path_text','array_append','array_prepend','array_cat'))
 and proname !~ '^(binary_upgrade|pg_stat_[grchf]|ts_|gin|gist|brin|spg|hash|bt(int|float|oid|char|name|text|array|record|bpchar|equal|hand|rec|var|bool).*|.*_(in|out|send|recv|typmodin|typmodout|accum|accum_inv|combine|serialize|deserialize|hash|hash_extended|subdiff|selfuncs|sel|joinsel|cmp|sum|avg|validator)$|.*(cmp)$|bool.*(recv|send)|.*[a-z](sel|recv|send|smaller|larger)$|.*_support$|inter_.*|pg_ls|pg_replication|pg_(create|copy|drop)_|lo_|lo(read)|lowrite$|pg_control|pg_event|pg_hba|pg_ident|pg_import|pg_isol|pg_read|pg_rot|pg_wal|pg_log_|pg_get_(multi|shm|back|cata|keyw|repl.*slots)|pg_show_(all_f|rep)|int[248]_|float8_|in_range|numeric_(inc|cmp|eq)|.*statefunc|interval_[a-z]+cmp|int8(inc|dec)|like_support|xml|satis|fmgr|amval|pg_config|pg_extension|pg_promote|pg_safe|pg_stop|pg_nextoid|pg_export|pg_xact|pg_last|pg_sequence_p|pg_jit|pg_part|pg_op|pg_ts|pg_conv|pg_stats|pg_notification|pg_tables|pg_timez|pg_available|pg_lock|pg_prep|pg_cursor|pg_list|pg_options|pg_curr|pg_file|pg_backup|pg_settings|to_ascii|daterange|regrole|convert$|mode$|percentile)' and proname not in ('lower_','charout') order by 1, pronargs , 9"""

# Functions of the catalog emulation that stand for several of PostgreSQL's, or whose type this engine lacks.
EXTRA = [[name, "pg_opclass_is_visible", "f", "f", "0", "s", "16", "0", "26", ""] for name in (
    "pg_opclass_is_visible", "pg_opfamily_is_visible", "pg_operator_is_visible", "pg_conversion_is_visible",
    "pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible", "pg_ts_template_is_visible")]
EXTRA += [["pg_partition_ancestors", "pg_partition_ancestors", "f", "t", "0", "i", "2205", "0", "2205", ""],
          ["pg_tablespace_location", "pg_tablespace_location", "f", "f", "0", "s", "25", "0", "26", ""]]
EXTRA += [["acldefault", "acldefault_sql", "f", "f", "0", "i", "1034", "0", "18 26", ""],
          ["pg_options_to_table", "pg_options_to_table", "f", "t", "0", "s", "2249", "0", "1009", ""]]
EXTRA += [[name, "pg_current_wal_lsn", "f", "f", "0", "v", "25", "0", "", ""] for name in (
    "pg_current_wal_lsn", "pg_current_wal_insert_lsn", "pg_current_wal_flush_lsn", "pg_last_wal_replay_lsn",
    "pg_last_wal_receive_lsn")]


def query(sql):
    out = subprocess.check_output(["psql", "-AtF", "\t", "-c", sql] + sys.argv[2:]).decode()
    return [line.split("\t") for line in out.strip("\n").split("\n")]


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(name, title, table, rows):
    with open(f"{sys.argv[1]}/catalog_{name}s.c", "w") as file:
        file.write(HEAD % (title, table))
        file.write(f"const struct sq_{name} sq_{name}s[] = {{\n")
        for row in rows:
            file.write("    {" + ", ".join(row) + "},\n")
        file.write(f"}};\n\nconst uint32_t sq_{name}_count = sizeof(sq_{name}s) / sizeof(sq_{name}s[0]);\n")


def proc(row):
    name, key, kind, is_set, variadic, volatility, result, defaults, args, _ = row
    types = args.split()
    return [quote(name), quote(key), result, f"'{kind}'", f"'{volatility}'", str(len(types)), defaults,
            "1" if is_set == "t" else "0", "0" if variadic == "0" else "1", "{" + (", ".join(types) or "0") + "}"]


write("operator", "Operators", "operator", [[quote(n), quote(k), l, r, t] for n, l, r, t, k in query(OPERATORS)])
write("cast", "Casts", "cast", [[s, t, f"'{c}'", f"'{m}'", quote(k)] for s, t, c, m, k in query(CASTS)])
write("proc", "Functions", "proc", sorted([proc(row) for row in query(PROCS) + EXTRA], key=lambda row: row[0]))
