import mysql.connector
from random import choice
# List of masters
masters = [
    {"host": "192.168.1.10", "user": "app_user", "password": "app_password", "database": "retail_db"},
    {"host": "192.168.1.11", "user": "app_user", "password": "app_password", "database": "retail_db"}
]
# Connect to a random master
conn = mysql.connector.connect(**choice(masters))
# Write query
with conn.cursor() as cur:
    cur.execute("INSERT INTO orders (customer_id, order_date, amount, region) VALUES (%s, %s, %s, %s)",
                (100, "2023-06-15", 99.99, "North"))
    conn.commit()
