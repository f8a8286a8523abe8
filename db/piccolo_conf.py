"""The settings of Piccolo's commands, named by `PICCOLO_CONF=db.piccolo_conf`."""

from __future__ import annotations

import os

from piccolo.conf.apps import AppRegistry

from db.engine import DB

if "dsn" not in DB.config and (url := os.environ.get("MOBINET_DATABASE_URL")):
    DB.config = {"dsn": url}

APP_REGISTRY = AppRegistry(apps=["db.piccolo_app"])
