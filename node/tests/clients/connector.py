"""What an application does with mysql-connector-python beyond the article's few lines. Arguments: the port, and how: pure or c."""

import datetime
import decimal
import sys
import warnings

import mysql.connector
from mysql.connector import errors, pooling

warnings.simplefilter("ignore")
place = dict(host="127.0.0.1", port=int(sys.argv[1]), user="root", password="", use_pure=sys.argv[2] == "pure")
conn = mysql.connector.connect(**place)
assert type(conn).__name__ == ("MySQLConnection" if place["use_pure"] else "CMySQLConnection"), type(conn)


def same(got, wanted):
    assert got == wanted, f"\ngot    {got!r}\nwanted {wanted!r}"


def fails(number, work):
    try:
        work()
    except Exception as error:  # the C extension has a kind of its own for some
        assert getattr(error, "errno", None) == number, error
        return error
    raise AssertionError(f"did not fail with {number}")


def ask(sql, params=(), **how):
    with conn.cursor(**how) as cur:
        cur.execute(sql, params)
        return cur.fetchall()


with conn.cursor() as cur:
    cur.execute("DROP DATABASE IF EXISTS connector")
    cur.execute("CREATE DATABASE connector")
    cur.execute("USE connector")
    cur.execute(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, d DATE, m DECIMAL(10,2), s VARCHAR(20), at DATETIME(6), "
        "span TIME(3), b VARBINARY(300), big BIGINT UNSIGNED, f DOUBLE)"
    )
    rows = [
        (datetime.date(2023, 6, 15), decimal.Decimal("99.99"), "Nörth %", datetime.datetime(2024, 1, 2, 3, 4, 5, 678901),
         datetime.timedelta(hours=-3, milliseconds=250), bytes(range(256)), 2**64 - 1, 0.1),
        (None,) * 8,
    ]
    insert = "INSERT INTO t (d, m, s, at, span, b, big, f) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
    cur.execute(insert, rows[0])
    same((cur.rowcount, cur.lastrowid), (1, 1))
    # many rows become one statement, and the bytes travel as they are
    cur.executemany(insert, rows)
    same(cur.rowcount, 2)
    conn.commit()
    rows[0] = (1,) + rows[0]
    same(ask("SELECT * FROM t WHERE id = %s", (1,)), [rows[0]])
    same(ask("SELECT id, s FROM t WHERE s = %(s)s ORDER BY id LIMIT 1", {"s": "Nörth %"}, dictionary=True), [{"id": 1, "s": "Nörth %"}])
    same(ask("SELECT id FROM t WHERE m IS NULL", buffered=True), [(3,)])
    same(ask("SELECT COUNT(*), SUM(m) FROM t"), [(3, decimal.Decimal("199.98"))])
    same(ask("SELECT m FROM t WHERE id = 1", raw=True), [(bytearray(b"99.99"),)])

# prepared, in the binary protocol (where the C extension reads a great BIGINT UNSIGNED as -1, from any server)
with conn.cursor(prepared=True) as cur:
    cur.execute("SELECT d, m, s, at, f FROM t WHERE id = ? AND s = ?", (1, "Nörth %"))
    same(cur.fetchall(), [rows[0][1:5] + rows[0][8:]])
    for text in ("2024-02-03", "2024-02-04"):
        cur.execute("INSERT INTO t (d, m) VALUES (%s, %s)", (text, "1.25"))
    conn.commit()
same(ask("SELECT d, m FROM t WHERE id > 3"), [(datetime.date(2024, 2, day), decimal.Decimal("1.25")) for day in (3, 4)])

# transactions
same((conn.autocommit, conn.in_transaction), (False, True))
conn.rollback()
same(ask("SELECT 1 + 1"), [(2,)])
same(conn.in_transaction, False)
conn.start_transaction(isolation_level="READ COMMITTED")
with conn.cursor() as cur:
    cur.execute("DELETE FROM t")
same((conn.in_transaction, ask("SELECT COUNT(*) FROM t")), (True, [(0,)]))
conn.rollback()
conn.start_transaction(consistent_snapshot=True, readonly=True)
same(ask("SELECT COUNT(*) FROM t"), [(5,)])
fails(1792, lambda: ask("DELETE FROM t"))
conn.rollback()
conn.autocommit = True
same((conn.autocommit, ask("SELECT @@autocommit")), (True, [(1,)]))

# what it asks of a connection
conn.ping()
conn.set_charset_collation("utf8mb4", "utf8mb4_general_ci")
same(ask("SELECT @@character_set_client, @@collation_connection"), [("utf8mb4", "utf8mb4_general_ci")])
conn.time_zone = "+02:00"
same(ask("SELECT @@time_zone"), [("+02:00",)])
assert conn.is_connected() and conn.server_version[0] == 8, conn.server_version
assert conn.server_info == ask("SELECT VERSION()")[0][0]
assert conn.cmd_statistics()["Threads"] >= 1
ask("SET @x = 5, innodb_lock_wait_timeout = 77")
conn.cmd_reset_connection()
same(ask("SELECT @x, @@innodb_lock_wait_timeout = 77"), [(None, 0)])
conn.database = "connector"

# errors and warnings
same(fails(1064, lambda: ask("SELEC 1")).sqlstate, "42000")
fails(1062, lambda: ask("INSERT INTO t (id) VALUES (1)"))
fails(1146, lambda: ask("SELECT * FROM nosuch"))
fails(1235, lambda: conn.cursor().callproc("nosuch", (1, 2)))
fails(1094, lambda: conn.cmd_process_kill(999_999))
conn.get_warnings = True
with conn.cursor() as cur:
    cur.execute("DROP TABLE IF EXISTS nosuch")
    same(cur.warnings, [("Note", 1051, "Unknown table 'connector.nosuch'")])

# several statements at once, and a pool that resets what it is given back
with conn.cursor() as cur:
    cur.execute("SELECT 1; SELECT 2, 3")
    same(cur.fetchall(), [(1,)])
    assert cur.nextset()
    same(cur.fetchall(), [(2, 3)])
# several statements with a KILL among them: each has its answer, and an error is the last
spare = mysql.connector.connect(**place)
with conn.cursor() as cur:
    cur.execute(f"KILL {spare.connection_id}; SELECT 4")
    assert cur.nextset()
    same(cur.fetchall(), [(4,)])
    cur.execute("SELECT 5; KILL 999999; SELECT 6")
    same(cur.fetchall(), [(5,)])
    fails(1094, cur.nextset)
assert not spare.is_connected()
same(ask("SELECT 7"), [(7,)])
pool = pooling.MySQLConnectionPool(pool_size=2, pool_name="p", database="connector", **place)
for turn in range(4):
    lent = pool.get_connection()
    with lent.cursor() as cur:
        cur.execute("SELECT @mine, DATABASE()")
        same(cur.fetchall(), [(None, "connector")])
        cur.execute("SET @mine = 1")
    lent.close()

# another user on the same connection: what the one before has begun is gone, and who fails loses the connection
for name, plugin in (("lent_native", "mysql_native_password"), ("lent_sha2", "caching_sha2_password")):
    ask(f"DROP USER IF EXISTS '{name}'@'%'")
    ask(f"CREATE USER '{name}'@'%' IDENTIFIED WITH {plugin} BY 'right'")
    ask(f"GRANT SELECT ON connector.* TO '{name}'@'%'")
count = ask("SELECT COUNT(*) FROM connector.t")
number = ask("SELECT CONNECTION_ID()")
conn.autocommit = False
ask("INSERT INTO connector.t (id) VALUES (1000)")
ask("SET @x = 5")
for name in ("lent_native", "lent_sha2"):
    conn.cmd_change_user(username=name, password="right", database="connector")
    same(ask("SELECT USER(), DATABASE(), @x"), [(name + "@localhost", "connector", None)])
    same((ask("SELECT COUNT(*) FROM t"), ask("SELECT CONNECTION_ID()")), (count, number))
    fails(1142, lambda: ask("INSERT INTO connector.t (id) VALUES (1000)"))
conn.cmd_change_user(username="root", password="")
same(ask("SELECT USER(), DATABASE()"), [("root@localhost", None)])
conn.close()
refused = [(1045, name, "wrong", None) for name in ("lent_native", "lent_sha2", "root", "nobody")]
for number, name, password, database in refused + [(1049, "root", "", "nosuch")]:
    conn = mysql.connector.connect(**place)
    fails(number, lambda: conn.cmd_change_user(username=name, password=password, database=database))
    assert not conn.is_connected(), name
print("all is as it should be")
