#!/usr/bin/python3
"""Asks a PostgreSQL 15 server how it reads keys: key_vectors.py OUT.tsv [big]. The server is the one that PGHOST, PGPORT and PGUSER name."""
import subprocess,sys,itertools,random
random.seed(3)
big = len(sys.argv)>2
dates=['2026-01-31','2024-02-29','2023-02-29','1970-01-01','2000-01-01','0001-01-01','9999-12-31','2026-13-01','2026-1-5','20260131','26-01-31','0000-01-01','2026-03-29','2026-10-25','1995-07-04']
times=['','10:20:30','10:20','1:02:03','10:20:30.5','10:20:30.123456','10:20:30.1234567','24:00:00','23:59:60','10:20:61','25:00:00','10','102030','02:30:00','00:00:00']
zones=['','Z','z','+00','+02','-05:30','+0530','+5',' +02','+02:30:15','+16','-15:59',' UTC',' GMT',' Europe/Berlin',' America/New_York',' EST',' CET',' BC',' AD','+02 ']
seps=[' ','T','  ']
texts=[]
for d in dates:
    for t in times:
        for z in zones:
            for s in (seps if (d,t)==('2026-01-31','10:20:30') else [' ']):
                texts.append(d+(s+t if t else '')+z)
texts+=['infinity','-infinity',' Infinity ','+infinity','inf','now','today','epoch','yesterday','','  ','allballs','Jan 5 2026','5 Jan 2026','01/02/2026','2026-01-31T','2026-01-31 10:20:30 PM','J2451187','2026.123','y2026m01d31',' 2026-01-31 ','2026-01-31\t10:20:30','-2026-01-31','2026-01-31 10:20:30+02:','2026-01-31 10:20:30-','2026-01-31 10:20:30+02x','2026-01-31 10:20:30.','2026-01-31 10:20:','2026-01-31+02','12026-01-31']
ints=['0','-0','+5',' 5 ','5 5','','-',' ','+','0x10','1_000','1e3','5.0','9223372036854775807','-9223372036854775808','9223372036854775808','-9223372036854775809','2147483647','-2147483648','2147483648','32767','32768','-32768','-32769','00012','\t7\n','7\v','--5','5-','٣','99999999999999999999999']
uuids=['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11','{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}','a0eebc999c0b4ef8bb6d6bb9bd380a11','a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11','{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111','{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ','g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','-a0eebc999c0b4ef8bb6d6bb9bd380a11','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-','a-0eebc999c0b4ef8bb6d6bb9bd380a11','']
def q(s): return "'"+s.replace("'","''")+"'"
sql="""create or replace function pg_temp.tryit(t text, v text) returns text language plpgsql as $$
declare r text; begin
 if t in ('int2','int4','int8') then execute format('select (%L::%s)::text', v, t) into r;
 elsif t='uuid' then execute format('select replace((%L::uuid)::text, ''-'', '''')', v) into r;
 elsif t='date' then execute format('select case when isfinite(d) then (d - date ''2000-01-01'')::text else d::text end from (select %L::date d) x', v) into r;
 elsif t='timestamp' then execute format('select case when isfinite(d) then (extract(epoch from d)*1000000 - 946684800000000)::bigint::text else d::text end from (select %L::timestamp d) x', v) into r;
 else execute format('select case when isfinite(d) then (extract(epoch from d)*1000000 - 946684800000000)::bigint::text else d::text end from (select %L::timestamptz d) x', v) into r; end if;
 return 'ok ' || r;
exception when others then return 'error ' || sqlstate; end $$;
"""
cases=[]
for t in ('int2','int4','int8'): cases+=[(t,'UTC',v) for v in ints]
cases+=[('uuid','UTC',v) for v in uuids]
for t in ('date','timestamp','timestamptz'):
    for z in (['UTC','Europe/Berlin','America/New_York','<+03>-03','Asia/Kolkata'] if t=='timestamptz' else ['UTC','Europe/Berlin']):
        vs=texts if big else random.sample(texts,12)+['2026-01-31 10:20:30','2024-07-01 00:00:00']
        cases+=[(t,z,v) for v in vs]
z0=None; body=""
for t,z,v in cases:
    if z!=z0: body+="set timezone=%s;\n"%q(z); z0=z
    body+="select pg_temp.tryit(%s,%s);\n"%(q(t),q(v))
r=subprocess.run(['psql','-At','-q'],input=sql+body,capture_output=True,text=True)
lines=r.stdout.rstrip('\n').split('\n')
assert len(lines)==len(cases),(len(lines),len(cases),r.stderr[:500])
with open(sys.argv[1],'w') as f:
    for (t,z,v),res in zip(cases,lines):
        f.write("%s\t%s\t%s\t%s\n"%(t,z,v.encode('unicode_escape').decode() if ('\t' in v or '\n' in v or '\v' in v) else v,res))
