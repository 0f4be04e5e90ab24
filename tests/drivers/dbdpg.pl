#!/usr/bin/perl
# DBD::Pg: placeholders rewritten to $n, server-side prepare, COPY, table_info.
use strict;
use warnings;
use DBI;

my ($passed, $failed) = (0, 0);
my $dbh = DBI->connect("dbi:Pg:host=$ENV{SY_HOST};port=$ENV{SY_PORT};dbname=$ENV{SY_DB}", $ENV{SY_USER}, '',
    { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 });

sub step {
    my ($name, $code) = @_;
    if (eval { $code->(); 1 }) { $passed++; print "ok   $name\n" }
    else { $failed++; print "FAIL $name\n$@\n"; eval { $dbh->rollback } unless $dbh->{AutoCommit}; }
}

sub equal {
    my ($got, $want) = @_;
    $got = '<undef>' unless defined $got;
    die "got $got, want $want" unless $got eq $want;
}

sub refused {
    my ($state, $code) = @_;
    die "no error, wanted $state" if eval { $code->(); 1 };
    equal($dbh->state, $state);
}

step 'connect' => sub {
    die $dbh->{pg_server_version} unless $dbh->{pg_server_version} >= 150000;
    equal($dbh->selectrow_array('SELECT 1'), 1);
    equal($dbh->ping > 0, 1);
};
step 'types' => sub {
    $dbh->do("SET TIME ZONE 'UTC'");
    my $insert = $dbh->prepare('INSERT INTO drv_authors VALUES (?, ?, ?, ?, ?, ?, ?)');
    for my $i (1 .. 40) {
        equal($insert->execute($i, "Autor \x{fc} $i", '1970-01-02', $i . '.25', $i % 2, '2026-01-01 12:00:05.123456+00',
            sprintf('00000000-0000-0000-0000-%012d', $i)), 1);
    }
    my $row = $dbh->selectrow_arrayref('SELECT * FROM drv_authors WHERE id = ?', undef, 7);
    equal(join('|', @$row), "7|Autor \x{fc} 7|1970-01-02|7.25|1|2026-01-01 12:00:05.123456+00|00000000-0000-0000-0000-000000000007");
};
step 'update and delete' => sub {
    equal($dbh->do('UPDATE drv_authors SET name = ? WHERE id = ?', undef, 'new', 1), 1);
    equal($dbh->do('DELETE FROM drv_authors WHERE id = ?', undef, 40), 1);
    equal($dbh->do('DELETE FROM drv_authors WHERE id = ?', undef, 40), '0E0');
};
step 'prepared' => sub {
    my $select = $dbh->prepare('SELECT id FROM drv_authors WHERE id = ?', { pg_server_prepare => 1 });
    for my $i (1 .. 39) {
        $select->execute($i);
        equal($select->fetchrow_arrayref->[0], $i);
        $select->finish;
    }
};
step 'transaction' => sub {
    $dbh->begin_work;
    $dbh->do("INSERT INTO drv_posts VALUES (2, 1, 'kept')");
    $dbh->commit;
    $dbh->begin_work;
    $dbh->do("INSERT INTO drv_posts VALUES (2, 2, 'dropped')");
    $dbh->rollback;
    $dbh->begin_work;
    $dbh->do("INSERT INTO drv_posts VALUES (2, 3, 'outer')");
    $dbh->pg_savepoint('s');
    $dbh->do("INSERT INTO drv_posts VALUES (2, 4, 'inner')");
    $dbh->pg_rollback_to('s');
    $dbh->commit;
    equal(join(',', @{ $dbh->selectcol_arrayref('SELECT id FROM drv_posts WHERE author_id = 2 ORDER BY id') }), '1,3');
};
step 'errors' => sub {
    refused('23505', sub { $dbh->do("INSERT INTO drv_authors (id, name) VALUES (1, 'x')") });
    refused('42601', sub { $dbh->do('SELEC 1') });
    refused('42P01', sub { $dbh->do('SELECT * FROM nowhere_at_all') });
    equal($dbh->selectrow_array('SELECT 2'), 2);
};
step 'copy' => sub {
    $dbh->do('COPY drv_authors (id, name, active) FROM STDIN');
    $dbh->pg_putcopydata("$_\tcopied $_\tt\n") for 1000 .. 1499;
    $dbh->pg_putcopyend;
    equal($dbh->selectrow_array('SELECT name FROM drv_authors WHERE id = 1499'), 'copied 1499');
};
step 'introspection' => sub {
    my @tables = map { s/.*\.//r } grep { /drv_/ } $dbh->tables(undef, 'public', '%', 'TABLE');
    equal(join(',', sort @tables), 'drv_authors,drv_posts,drv_tags');
    my $columns = $dbh->column_info(undef, 'public', 'drv_posts', '%')->fetchall_arrayref({});
    equal(join(',', map { $_->{COLUMN_NAME} } @$columns), 'author_id,id,title');
    equal(join(',', $dbh->primary_key(undef, 'public', 'drv_posts')), 'author_id,id');
};
$dbh->disconnect;
print "$passed passed, $failed failed\n";
exit($failed || !$passed ? 1 : 0);
