#!/usr/bin/python3
"""Computes hash_vectors.inc on a PostgreSQL 15 server: hash_vectors.py COUNT OUT.tsv. The server is the one that PGHOST, PGPORT and PGUSER name."""
import random, subprocess, uuid, sys, datetime
random.seed(7)
def psql(sql):
    r=subprocess.run(['psql','-At','-F','\t','-v','ON_ERROR_STOP=1'],input=sql,capture_output=True,text=True)
    assert r.returncode==0, r.stderr
    return r.stdout
N=int(sys.argv[1]); out=sys.argv[2]
def ints(lo,hi):
    edge=[0,1,-1,lo,hi,lo+1,hi-1]
    return [v for v in edge]+[random.randint(lo,hi) if i%2 else random.randint(max(lo,-5000),min(hi,5000)) for i in range(N)]
def texts():
    al="abcdefghijklmnopqrstuvwxyz ABC0189-_.@äößéЖ漢字🙂"
    base=["","a","ab","abc","abcd","abcdefgh","abcdefghijk","abcdefghijkl","abcdefghijklm","trailing  "," lead"]
    return base+["".join(random.choice(al) for _ in range(random.randint(1,60))) for _ in range(N)]
def q(s): return "'"+s.replace("'","''")+"'"
d0=datetime.date(2000,1,1)
vals={
 'int2':("int2","hashint2extended",[str(v) for v in ints(-32768,32767)]),
 'int4':("int4","hashint4extended",[str(v) for v in ints(-2**31,2**31-1)]),
 'int8':("int8","hashint8extended",[str(v) for v in ints(-2**63,2**63-1)]),
 'text':("text","hashtextextended",texts()),
 'varchar':("varchar","hashtextextended",texts()),
 'bpchar':("bpchar","hashbpcharextended",texts()),
 'uuid':("uuid","uuid_hash_extended",[str(uuid.UUID(int=random.getrandbits(128))) for _ in range(N)]+["00000000-0000-0000-0000-000000000000"]),
 'date':("date","hashint4extended",["infinity","-infinity","2000-01-01","0001-01-01","9999-12-31"]+[(d0+datetime.timedelta(days=random.randint(-700000,2000000))).isoformat() for _ in range(N)]),
 'timestamp':("timestamp","timestamp_hash_extended",["infinity","-infinity","2000-01-01 00:00:00","1969-12-31 23:59:59.999999"]+[(datetime.datetime(2000,1,1)+datetime.timedelta(days=random.randint(-30000,30000),microseconds=random.randint(0,86399999999))).isoformat(' ') for _ in range(N)]),
}
vals['timestamptz']=("timestamptz","timestamp_hash_extended",["infinity","-infinity"]+[v+random.choice(["+00","+02","-05:30","Z"," +0130"]) for v in vals['timestamp'][2][4:]])
with open(out,'w') as f:
    for name,(t,h,vs) in vals.items():
        vs=list(dict.fromkeys(vs))
        setup="set timezone='UTC';\ndrop table if exists hp; create table hp(k %s) partition by hash(k);\n"%t
        if t=='date': expr="hashint4extended(hp.d, 8816678312871386365)"
        sql=setup+"create temp table v(i int, k %s, s text);\n"%t
        rows=",\n".join("(%d,%s::%s,%s)"%(i,q(v),t,q(v)) for i,v in enumerate(vs))
        sql+="insert into v values "+rows+";\n"
        hashexpr={'timestamptz':"timestamp_hash_extended(k at time zone 'UTC', 8816678312871386365)",'date':"hashint4extended(k - date '2000-01-01', 8816678312871386365)"}.get(t,"%s(k, 8816678312871386365)"%h)
        if t=='date': hashexpr="case when isfinite(k) then %s else hashint4extended(case when k='infinity' then 2147483647 else -2147483648 end, 8816678312871386365) end"%hashexpr
        # the bucket as PostgreSQL itself decides it
        sql+="select s, %s, (((%s) & 4095) + 2275) & 4095 as b from v order by i;\n"%(hashexpr,hashexpr)
        sql+="select 'BAD', count(*) from (select k, ((((%s) & 4095) + 2275) & 4095)::int as b from v) x where not satisfies_hash_partition('hp'::regclass::oid, 4096, b, k);\n"%hashexpr
        o=psql(sql).splitlines()
        for l in o:
            c=l.split('\t')
            if c[0]=='BAD': assert c[1]=='0',(name,l); continue
            if len(c)==3: f.write("\t".join([name]+c)+"\n")
