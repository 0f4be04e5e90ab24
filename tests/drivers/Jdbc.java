import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** JDBC: server-prepared statements after five uses, batches, fetch size, generated keys, metadata, COPY. */
public final class Jdbc {
    private interface Body { void run() throws Exception; }

    private static int passed, failed;
    private static Connection conn;

    private static void step(String name, Body body) {
        try {
            body.run();
            passed++;
            System.out.println("ok   " + name);
        } catch (Throwable error) {
            failed++;
            System.out.println("FAIL " + name);
            error.printStackTrace(System.out);
            try { if (!conn.getAutoCommit()) { conn.rollback(); conn.setAutoCommit(true); } } catch (SQLException ignored) { }
        }
    }

    private static void equal(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    private static void refused(String state, Body body) throws Exception {
        try { body.run(); } catch (SQLException error) { equal(error.getSQLState(), state); return; }
        throw new AssertionError("no error, wanted " + state);
    }

    private static Object one(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = conn.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            try (ResultSet rows = statement.executeQuery()) { return rows.next() ? rows.getObject(1) : null; }
        }
    }

    private static int run(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = conn.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            return statement.executeUpdate();
        }
    }

    private static List<String> names(ResultSet rows, String column) throws SQLException {
        List<String> all = new ArrayList<>();
        while (rows.next()) all.add(rows.getString(column));
        return all;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        conn = DriverManager.getConnection("jdbc:postgresql://" + env.get("SY_HOST") + ":" + env.get("SY_PORT") + "/"
            + env.get("SY_DB"), env.get("SY_USER"), "");
        OffsetDateTime created = OffsetDateTime.of(2026, 1, 1, 12, 0, 5, 123456000, ZoneOffset.UTC);

        step("connect", () -> {
            equal(conn.getMetaData().getDatabaseMajorVersion() >= 15, true);
            equal(one("SELECT 1"), 1);
            equal(conn.isValid(5), true);
        });
        step("types", () -> {
            for (long i = 1; i <= 40; i++)
                equal(run("INSERT INTO drv_authors VALUES (?, ?, ?, ?, ?, ?, ?)", i, "Autor \u00fc " + i, LocalDate.of(1970, 1, 2),
                    new BigDecimal(i + ".25"), i % 2 == 0, created, new UUID(0, i)), 1);
            for (long i = 1; i <= 40; i++) {
                try (PreparedStatement statement = conn.prepareStatement("SELECT * FROM drv_authors WHERE id = ?")) {
                    statement.setLong(1, i);
                    ResultSet row = statement.executeQuery();
                    equal(row.next(), true);
                    equal(row.getLong("id"), i);
                    equal(row.getString("name"), "Autor \u00fc " + i);
                    equal(row.getObject("born", LocalDate.class), LocalDate.of(1970, 1, 2));
                    equal(row.getBigDecimal("rating"), new BigDecimal(i + ".25"));
                    equal(row.getBoolean("active"), i % 2 == 0);
                    equal(row.getObject("created", OffsetDateTime.class), created);
                    equal(row.getObject("token"), new UUID(0, i));
                }
            }
        });
        step("update and delete", () -> {
            equal(run("UPDATE drv_authors SET name = ? WHERE id = ?", "new", 1L), 1);
            equal(run("DELETE FROM drv_authors WHERE id = ?", 40L), 1);
            equal(run("DELETE FROM drv_authors WHERE id = ?", 40L), 0);
        });
        step("prepared", () -> {
            try (PreparedStatement statement = conn.prepareStatement("SELECT id FROM drv_authors WHERE id = ?")) {
                for (long i = 1; i < 40; i++) {
                    statement.setLong(1, i);
                    ResultSet row = statement.executeQuery();
                    row.next();
                    equal(row.getLong(1), i);
                }
            }
        });
        step("transaction", () -> {
            conn.setAutoCommit(false);
            run("INSERT INTO drv_posts VALUES (2, 1, 'kept')");
            conn.commit();
            run("INSERT INTO drv_posts VALUES (2, 2, 'dropped')");
            refused("23505", () -> run("INSERT INTO drv_posts VALUES (2, 1, 'again')"));
            refused("25P02", () -> one("SELECT 1"));
            conn.rollback();
            run("INSERT INTO drv_posts VALUES (2, 3, 'outer')");
            Savepoint savepoint = conn.setSavepoint();
            run("INSERT INTO drv_posts VALUES (2, 4, 'inner')");
            conn.rollback(savepoint);
            conn.commit();
            conn.setAutoCommit(true);
            equal(one("SELECT count(*) FROM drv_posts WHERE author_id = ?", 2L), 2L);
        });
        step("errors", () -> {
            refused("23505", () -> run("INSERT INTO drv_authors (id, name) VALUES (1, 'x')"));
            refused("42601", () -> one("SELEC 1"));
            refused("42P01", () -> one("SELECT * FROM nowhere_at_all"));
            equal(one("SELECT 2"), 2);
        });
        step("batch", () -> {
            try (PreparedStatement statement = conn.prepareStatement("INSERT INTO drv_posts VALUES (?, ?, ?)")) {
                for (long i = 1; i <= 200; i++) {
                    statement.setLong(1, 3);
                    statement.setLong(2, i);
                    statement.setString(3, "t" + i);
                    statement.addBatch();
                }
                equal(Arrays.stream(statement.executeBatch()).sum(), 200);
            }
            try (PreparedStatement statement = conn.prepareStatement("INSERT INTO drv_posts VALUES (4, 1, 'g')",
                    new String[] {"id", "title"})) {
                statement.executeUpdate();
                ResultSet keys = statement.getGeneratedKeys();
                keys.next();
                equal(keys.getString("title"), "g");
            }
        });
        step("cursor", () -> {
            conn.setAutoCommit(false);
            try (PreparedStatement statement = conn.prepareStatement("SELECT id FROM drv_posts WHERE author_id = ? ORDER BY id")) {
                statement.setFetchSize(30);
                statement.setLong(1, 3);
                ResultSet rows = statement.executeQuery();
                long seen = 0;
                while (rows.next()) equal(rows.getLong(1), ++seen);
                equal(seen, 200L);
            }
            conn.commit();
            conn.setAutoCommit(true);
        });
        step("copy", () -> {
            StringBuilder rows = new StringBuilder();
            for (int i = 1000; i < 1500; i++) rows.append(i).append("\tcopied ").append(i).append("\tt\n");
            CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
            equal(copy.copyIn("COPY drv_authors (id, name, active) FROM STDIN", new StringReader(rows.toString())), 500L);
            equal(one("SELECT name FROM drv_authors WHERE id = ?", 1499L), "copied 1499");
        });
        step("introspection", () -> {
            DatabaseMetaData meta = conn.getMetaData();
            List<String> tables = names(meta.getTables(null, "public", "drv\\_%", new String[] {"TABLE"}), "TABLE_NAME");
            equal(tables, List.of("drv_authors", "drv_posts", "drv_tags"));
            equal(names(meta.getColumns(null, "public", "drv_posts", "%"), "COLUMN_NAME"), List.of("author_id", "id", "title"));
            equal(new TreeSet<>(names(meta.getPrimaryKeys(null, "public", "drv_posts"), "COLUMN_NAME")),
                new TreeSet<>(List.of("author_id", "id")));
            equal(names(meta.getImportedKeys(null, "public", "drv_posts"), "PKTABLE_NAME"), List.of("drv_authors"));
            equal(new TreeSet<>(names(meta.getIndexInfo(null, "public", "drv_posts", false, true), "INDEX_NAME")),
                new TreeSet<>(List.of("drv_posts_pkey", "drv_posts_title")));
            try (PreparedStatement statement = conn.prepareStatement("SELECT * FROM drv_authors WHERE id = 1")) {
                ResultSetMetaData columns = statement.executeQuery().getMetaData();
                equal(columns.getTableName(1), "drv_authors");
                equal(columns.isNullable(2), ResultSetMetaData.columnNoNulls);
            }
        });
        conn.close();
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed > 0 || passed == 0 ? 1 : 0);
    }
}
