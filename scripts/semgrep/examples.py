"""Lines that the rules beside this file must find, marked so, and lines that they must let pass. Nobody runs it."""

import asyncio
import hashlib
import hmac
import json
import os
import pickle
import ssl
import subprocess

import httpx
import jwt
import sqlalchemy
import sqlalchemy as sa
import yaml


def bad(name, key, log, given, wanted, mac, stored_secret, context, body):
    sa.text(f"SELECT * FROM users WHERE name = '{name}'")  # found: sql-made-from-text
    sqlalchemy.text("SELECT * FROM users WHERE name = '%s'" % name)  # found: sql-made-from-text
    sa.text("SELECT * FROM users WHERE name = " + name)  # found: sql-made-from-text
    sa.text("SELECT * FROM {}".format(name))  # found: sql-made-from-text
    mac == given  # found: secret-compared-with-equals
    stored_secret != given  # found: secret-compared-with-equals
    jwt.decode(body, key)  # found: token-decoded-without-its-algorithm
    jwt.decode(body, options={"verify_signature": False})  # found: token-decoded-without-its-algorithm
    log.info("started", key=key.get_secret_value())  # found: secret-shown
    f"the key is {key.get_secret_value()}"  # found: secret-shown
    context.check_hostname = False  # found: certificate-not-checked
    context.verify_mode = ssl.CERT_NONE  # found: certificate-not-checked
    httpx.get("https://example.com", verify=False)  # found: certificate-not-checked
    eval(body)  # found: code-from-data
    pickle.loads(body)  # found: code-from-data
    yaml.load(body)  # found: code-from-data
    subprocess.run(body, shell=True)  # found: program-through-a-shell
    os.system(body)  # found: program-through-a-shell
    asyncio.create_subprocess_shell(body)  # found: program-through-a-shell
    hashlib.md5(body)  # found: weak-hash
    hashlib.sha1(body)  # found: weak-hash


def good(name, key, log, given, mac, secret, body, users):
    sa.text("SELECT * FROM users WHERE name = :name")
    hmac.compare_digest(mac, given)
    sa.select(users).where(users.c.hashed_password == given)
    users.signup(name=name, password=secret.get_secret_value())
    secret == ""
    jwt.decode(body, key, algorithms=["HS256"], options={"require": ["exp"]})
    log.info("started", has_key=bool(key.get_secret_value()))
    httpx.get("https://example.com")
    json.loads(body)
    subprocess.run(["ls", name], check=False)
    hashlib.sha256(body)
